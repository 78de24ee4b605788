// IPv4, UDP, ICMP, ARP and Ethernet against libtins.
#include <gtest/gtest.h>

#include "tests/oracle/oracle.h"

namespace limpid {
namespace {

Ipv4Header random_ip(Dice& dice, IpProtocol protocol) {
  Ipv4Header h = ip_header(dice.ip(), dice.ip(), protocol);
  h.tos = dice.u8();
  h.identification = dice.u16();
  h.dont_fragment = dice.coin();
  h.ttl = dice.u8();
  return h;
}

void add_option(Ipv4Header& h, std::initializer_list<int> bytes) {
  for (int b : bytes) h.options.storage[h.options.length++] = static_cast<std::byte>(b);
}

void expect_same(const Ipv4Header& h, const Tins::IP& tins) {
  ASSERT_EQ(ours(tins.src_addr()), h.source);
  ASSERT_EQ(ours(tins.dst_addr()), h.destination);
  ASSERT_EQ(tins.tos(), h.tos);
  ASSERT_EQ(tins.tot_len(), h.total_length);
  ASSERT_EQ(tins.id(), h.identification);
  ASSERT_EQ(tins.ttl(), h.ttl);
  ASSERT_EQ(tins.protocol(), static_cast<uint8_t>(h.protocol));
  ASSERT_EQ((tins.flags() & Tins::IP::DONT_FRAGMENT) != 0, h.dont_fragment);
  ASSERT_EQ((tins.flags() & Tins::IP::MORE_FRAGMENTS) != 0, h.more_fragments);
  ASSERT_EQ(tins.fragment_offset() * 8, h.fragment_offset);
  ASSERT_EQ(tins.head_len() * 4u, h.size());
}

constexpr auto kUnknownProtocol =
    static_cast<IpProtocol>(253);  // RFC 3692: for experiments, so libtins leaves it alone

// Never empty: libtins writes the protocol number of a datagram without payload as zero.
std::string some_text(Dice& dice) { return "text" + dice.text(100); }

TEST(OracleIpv4, LibtinsReadsWhatWeWrite) {
  Dice dice(31);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    Ipv4Header h = random_ip(dice, kUnknownProtocol);
    h.more_fragments = dice.coin();
    h.fragment_offset = static_cast<uint16_t>(8 * dice.below(8192));
    const bool record_route = dice.coin();
    const bool router_alert = dice.coin();
    if (record_route) add_option(h, {1, 7, 7, 4, 0, 0, 0, 0});
    if (router_alert) add_option(h, {148, 4, 0, 0});
    const Bytes packet = ip_packet(h, some_text(dice));
    h.total_length = static_cast<uint16_t>(packet.size());

    Tins::IP ip(raw(packet), raw_size(packet));
    expect_same(h, ip);
    if (HasFatalFailure()) return;
    ASSERT_EQ(ip.options().size(), (router_alert ? 1u : 0u) + (record_route ? 2u : 0u));
    if (h.options.length == 0) {
      ASSERT_EQ(ours(ip.serialize()), packet) << "lengths and checksum";
    }
  }
}

// req: 791-3.1-c
TEST(OracleIpv4, WeReadWhatLibtinsWrites) {
  Dice dice(32);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    Tins::IP ip(theirs(dice.ip()), theirs(dice.ip()));
    ip.tos(dice.u8());
    ip.id(dice.u16());
    ip.ttl(dice.u8());
    ip.protocol(static_cast<uint8_t>(kUnknownProtocol));
    ip.flags(static_cast<Tins::IP::Flags>(dice.below(4)));
    ip.fragment_offset(static_cast<uint16_t>(dice.below(8192)));
    // One option at a time: libtins (4.4) counts each one octet short, which the padding of a single one hides.
    const uint64_t option = dice.below(5);
    const bool source_route = option >= 3;
    if (option == 1) ip.stream_identifier(dice.u16());
    if (option == 2) ip.record_route({4, {theirs(dice.ip()), theirs(dice.ip())}});
    if (option == 3) ip.lsrr({4, {theirs(dice.ip())}});
    if (option == 4) ip.ssrr({4, {theirs(dice.ip())}});
    const std::string text = some_text(dice);
    Tins::IP whole = ip / Tins::RawPDU(text);
    const Bytes packet = ours(whole.serialize());

    const auto parsed = parse_ipv4(packet);
    ASSERT_TRUE(parsed.has_value());
    expect_same(parsed->header, whole);
    if (HasFatalFailure()) return;
    ASSERT_EQ(parsed->source_route, source_route);
    ASSERT_EQ(parsed->payload_size, text.size());
  }
}

// req: 768-csum-a, 1122-4.1.3.4-a
TEST(OracleUdp, BothReadWhatTheOtherWrites) {
  Dice dice(33);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const UdpHeader h{.source_port = dice.u16(), .destination_port = dice.u16()};
    const IpAddress from = dice.ip();
    const IpAddress to = dice.ip();
    const std::string text = dice.text(100);
    const Bytes packet = udp_packet(from, to, h, text);

    Tins::IP read(raw(packet), raw_size(packet));
    ASSERT_EQ(read.rfind_pdu<Tins::UDP>().sport(), h.source_port);
    ASSERT_EQ(read.rfind_pdu<Tins::UDP>().dport(), h.destination_port);
    ASSERT_EQ(read.rfind_pdu<Tins::UDP>().length(), 8 + text.size());

    Tins::IP written =
        Tins::IP(theirs(to), theirs(from)) / Tins::UDP(h.destination_port, h.source_port) / Tins::RawPDU(text);
    const Bytes theirs_now = ours(written.serialize());
    const auto parsed = parse_udp(ByteSpan(theirs_now).subspan(20), from, to);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_EQ(parsed->header, h);
    ASSERT_TRUE(std::ranges::equal(parsed->payload, as_span(text)));
    ASSERT_TRUE(std::ranges::equal(ByteSpan(packet).subspan(20), ByteSpan(theirs_now).subspan(20)));
  }
}

// req: 792-hdr-a
TEST(OracleIcmp, LibtinsReadsWhatWeWrite) {
  Dice dice(34);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const bool request = dice.coin();
    const Icmp4Header echo =
        Icmp4Header::echo(request ? icmp4_type::echo_request : icmp4_type::echo_reply, dice.u16(), dice.u16());
    const Bytes message = icmp_message(echo, dice.text(100));
    Tins::ICMP icmp(raw(message), raw_size(message));
    ASSERT_EQ(icmp.type(), request ? Tins::ICMP::ECHO_REQUEST : Tins::ICMP::ECHO_REPLY);
    ASSERT_EQ(icmp.id(), echo.identifier());
    ASSERT_EQ(icmp.sequence(), echo.sequence());
    ASSERT_EQ(ours(icmp.serialize()), message);
  }
}

TEST(OracleIcmp, LibtinsReadsTheDatagramThatOurErrorsQuote) {
  Dice dice(35);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const IpAddress from = dice.ip();
    const IpAddress to = dice.ip();
    const UdpHeader udp{.source_port = dice.u16(), .destination_port = dice.u16()};
    const Bytes about = udp_packet(from, to, udp, dice.text(40));
    const Icmp4Header h{
        .type = icmp4_type::unreachable, .code = icmp4_unreachable::fragmentation_needed, .rest = dice.u16()};
    const Bytes message = icmp_message(h, std::string_view(reinterpret_cast<const char*>(about.data()), about.size()));

    Tins::ICMP icmp(raw(message), raw_size(message));
    ASSERT_EQ(icmp.type(), Tins::ICMP::DEST_UNREACHABLE);
    ASSERT_EQ(icmp.code(), 4);
    ASSERT_EQ(icmp.mtu(), h.next_hop_mtu());
    const auto body = icmp.rfind_pdu<Tins::RawPDU>().payload();
    const Tins::IP quoted(body.data(), static_cast<uint32_t>(body.size()));
    ASSERT_EQ(ours(quoted.src_addr()), from);
    ASSERT_EQ(quoted.rfind_pdu<Tins::UDP>().dport(), udp.destination_port);
  }
}

TEST(OracleIcmp, WeReadWhatLibtinsWrites) {
  Dice dice(36);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    Tins::ICMP icmp(Tins::ICMP::ECHO_REQUEST);
    icmp.id(dice.u16());
    icmp.sequence(dice.u16());
    const std::string text = dice.text(100);
    Tins::ICMP whole = icmp / Tins::RawPDU(text);
    const Bytes message = ours(whole.serialize());
    const auto parsed = parse_icmp4(message);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_EQ(parsed->header, Icmp4Header::echo(icmp4_type::echo_request, icmp.id(), icmp.sequence()));
    ASSERT_TRUE(std::ranges::equal(parsed->body, as_span(text)));

    const IpAddress from = dice.ip();
    const IpAddress to = dice.ip();
    Tins::ICMP error(Tins::ICMP::TIME_EXCEEDED);
    Tins::ICMP about = error / Tins::IP(theirs(to), theirs(from)) / Tins::UDP(dice.u16(), dice.u16());
    const Bytes error_message = ours(about.serialize());
    const auto parsed_error = parse_icmp4(error_message);
    ASSERT_TRUE(parsed_error.has_value());
    ASSERT_EQ(parsed_error->header.type, icmp4_type::time_exceeded);
    const auto quoted = parse_quoted_ipv4(parsed_error->body);
    ASSERT_TRUE(quoted.has_value());
    ASSERT_EQ(quoted->header.source, from);
    ASSERT_EQ(quoted->header.destination, to);
    ASSERT_EQ(quoted->header.protocol, IpProtocol::udp);
  }
}

// req: 894-1-a
TEST(OracleLink, ArpInEthernetBothWays) {
  Dice dice(37);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const ArpPacket arp{.operation = static_cast<uint16_t>(1 + dice.below(2)),
                        .sender_mac = dice.mac(),
                        .sender_ip = dice.ip(),
                        .target_mac = dice.mac(),
                        .target_ip = dice.ip()};
    const EthernetHeader link{.destination = dice.mac(), .source = dice.mac(), .type = ether_type::arp};
    Bytes bytes = frame(link, arp_bytes(arp));

    const Tins::EthernetII read(raw(bytes), raw_size(bytes));
    ASSERT_EQ(read.src_addr(), theirs(link.source));
    ASSERT_EQ(read.dst_addr(), theirs(link.destination));
    const auto& read_arp = read.rfind_pdu<Tins::ARP>();
    ASSERT_EQ(read_arp.opcode(), arp.operation);
    ASSERT_EQ(read_arp.sender_hw_addr(), theirs(arp.sender_mac));
    ASSERT_EQ(ours(read_arp.sender_ip_addr()), arp.sender_ip);
    ASSERT_EQ(read_arp.target_hw_addr(), theirs(arp.target_mac));
    ASSERT_EQ(ours(read_arp.target_ip_addr()), arp.target_ip);

    Tins::ARP made(theirs(arp.target_ip), theirs(arp.sender_ip), theirs(arp.target_mac), theirs(arp.sender_mac));
    made.opcode(static_cast<Tins::ARP::Flags>(arp.operation));
    Tins::EthernetII written = Tins::EthernetII(theirs(link.destination), theirs(link.source)) / made;
    const Bytes theirs_now = ours(written.serialize());
    ASSERT_EQ(parse_ethernet(theirs_now), link);
    ASSERT_EQ(parse_arp(ByteSpan(theirs_now).subspan(EthernetHeader::kSize)), arp);
    ASSERT_TRUE(std::ranges::equal(bytes, ByteSpan(theirs_now).first(bytes.size())));
  }
}

}  // namespace
}  // namespace limpid
