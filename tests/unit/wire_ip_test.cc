// IPv4, ICMP and UDP: what is refused and why, and what is written is read back.
#include <gtest/gtest.h>

#include <algorithm>

#include "stack/base/checksum.h"
#include "stack/base/rng.h"
#include "tests/support/packets.h"

namespace limpid {
namespace {

const IpAddress kA = IpAddress::v4(10, 77, 0, 1);
const IpAddress kB = IpAddress::v4(10, 77, 0, 2);

Bytes datagram(std::string_view payload = "") { return ip_packet(ip_header(kA, kB, IpProtocol::udp), payload); }

void repair_ip_checksum(Bytes& packet) {
  store16(packet, 10, 0);
  store16(packet, 10,
          internet_checksum(ByteSpan(packet).first(std::min<size_t>(packet.size(), load8(packet, 0) % 16 * 4u))));
}

Ipv4Header with_options(std::initializer_list<int> options) {
  Ipv4Header h = ip_header(kA, kB, IpProtocol::udp);
  for (int o : options) h.options.storage[h.options.length++] = static_cast<std::byte>(o);
  return h;
}

Counter refusal(const Bytes& packet) {
  const auto parsed = parse_ipv4(packet);
  return parsed ? Counter::count_ : parsed.error();
}

TEST(Ipv4, WhatIsWrittenIsReadBack) {
  Rng rng(5);
  for (int round = 0; round < 20'000; ++round) {
    Ipv4Header h;
    h.tos = static_cast<uint8_t>(rng.next());
    h.identification = static_cast<uint16_t>(rng.next());
    h.dont_fragment = rng.below(2) == 1;
    h.more_fragments = rng.below(2) == 1;
    h.fragment_offset = static_cast<uint16_t>(8 * rng.below(8192));
    h.ttl = static_cast<uint8_t>(rng.next());
    h.protocol = static_cast<IpProtocol>(rng.below(256));
    h.source = IpAddress::v4(static_cast<uint32_t>(rng.next()));
    h.destination = IpAddress::v4(static_cast<uint32_t>(rng.next()));
    h.options.length = static_cast<uint8_t>(4 * rng.below(11));
    std::fill_n(h.options.storage.begin(), h.options.length, std::byte{1});
    const size_t payload = rng.below(100);
    h.total_length = static_cast<uint16_t>(h.size() + payload);
    const Bytes packet = ip_packet(h, Bytes(payload));

    const auto parsed = parse_ipv4(packet);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_EQ(parsed->header, h);
    ASSERT_EQ(parsed->header_size, h.size());
    ASSERT_EQ(parsed->payload_size, payload);
    ASSERT_FALSE(parsed->source_route);
    ASSERT_EQ(parsed->header.is_fragment(), h.more_fragments || h.fragment_offset > 0);
  }
}

TEST(Ipv4, OfTheNextOfARowIsReadWhatDiffers) {
  const Bytes first = datagram("payload!");
  const auto read = parse_ipv4(first);
  ASSERT_TRUE(read.has_value());

  Ipv4Header h = ip_header(kA, kB, IpProtocol::udp);
  h.identification = 7;
  const Bytes next = ip_packet(h, "more of it than before");
  ParsedIpv4 parsed = *read;
  ASSERT_TRUE(parse_next_ipv4(next, first, parsed));
  EXPECT_EQ(parsed.header, parse_ipv4(next)->header);
  EXPECT_EQ(parsed.payload_size, 22u);

  Bytes broken = next;
  for (size_t bit = 0; bit < 160; ++bit) {
    broken[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(parse_next_ipv4(broken, first, parsed)) << "bit " << bit;
    repair_ip_checksum(broken);
    const bool may_differ = (bit >= 32 && bit < 48) || (bit >= 80 && bit < 96);  // identification, checksum
    if (!may_differ && (bit < 16 || bit >= 32)) {
      EXPECT_FALSE(parse_next_ipv4(broken, first, parsed)) << "bit " << bit;
    }
    broken = next;
  }
  for (size_t n = 0; n < next.size(); ++n)
    EXPECT_FALSE(parse_next_ipv4(ByteSpan(next).first(n), first, parsed)) << n << " bytes";
}

TEST(Ipv4, ARenewedHeaderIsTheOneOfTheNextDatagram) {
  Ipv4Header h = ip_header(kA, kB, IpProtocol::udp);
  h.total_length = 28;
  Bytes renewed(h.size());
  h.write(renewed);
  h.total_length = 1500;
  h.identification = 0xfffe;
  Bytes anew(h.size());
  h.write(anew);
  Ipv4Header::renew(renewed, 1500, 0xfffe);
  EXPECT_EQ(renewed, anew);
}

// req: 791-3.1-a
TEST(Ipv4, LengthsThatContradictEachOtherAreRefused) {
  const Bytes good = datagram("payload!");
  for (size_t n = 0; n < good.size(); ++n)
    EXPECT_EQ(refusal(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(n))), Counter::ip4_drop_truncated) << n;
  for (int words = 0; words < 5; ++words) {
    Bytes packet = good;
    store8(packet, 0, static_cast<uint8_t>(0x40 | words));
    repair_ip_checksum(packet);
    EXPECT_EQ(refusal(packet), Counter::ip4_drop_bad_header) << words;
  }
  Bytes packet = good;
  store8(packet, 0, 0x4f);
  EXPECT_EQ(refusal(packet), Counter::ip4_drop_truncated) << "60 bytes of header in 28";
  for (int total : {0, 19, 29, 65535}) {
    packet = good;
    store16(packet, 2, static_cast<uint16_t>(total));
    repair_ip_checksum(packet);
    EXPECT_EQ(refusal(packet), total < 20 ? Counter::ip4_drop_bad_header : Counter::ip4_drop_truncated) << total;
  }
}

// req: 791-3.1-b, 894-1-a
TEST(Ipv4, PaddingOfTheLinkIsNoPayload) {
  Bytes packet = datagram("four");
  packet.resize(46);
  const auto parsed = parse_ipv4(packet);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->payload_size, 4u);
}

// req: 1122-3.2.1.1-a
TEST(Ipv4, OtherVersionsAreRefused) {
  for (int version : {0, 3, 5, 6, 15}) {
    Bytes packet = datagram();
    store8(packet, 0, static_cast<uint8_t>(version << 4 | 5));
    repair_ip_checksum(packet);
    EXPECT_EQ(refusal(packet), Counter::ip4_drop_bad_header) << version;
  }
}

// req: 1122-3.2.1.2-a
TEST(Ipv4, AnyFlippedBitOfTheHeaderIsFound) {
  Bytes packet = datagram("payload!");
  for (size_t bit = 0; bit < 160; ++bit) {
    packet[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(parse_ipv4(packet).has_value()) << "bit " << bit;
    packet[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_TRUE(parse_ipv4(packet).has_value());
}

// req: 791-3.1-c, 1122-3.2.1.8-a
TEST(Ipv4, OptionsAreWalkedByTheirLengths) {
  EXPECT_EQ(refusal(ip_packet(with_options({130, 4, 0, 0, 136, 4, 0, 0, 200, 3, 0, 1}), "")), Counter::count_);
  EXPECT_EQ(refusal(ip_packet(with_options({7, 3, 4, 0}), "")), Counter::count_) << "record route, then end of list";
  EXPECT_EQ(refusal(ip_packet(with_options({0, 7, 0, 0}), "")), Counter::count_) << "nothing counts behind the end";
  for (int length : {0, 1, 4, 255})
    EXPECT_EQ(refusal(ip_packet(with_options({1, 200, length, 0}), "")), Counter::ip4_drop_bad_option) << length;
  EXPECT_EQ(refusal(ip_packet(with_options({1, 1, 1, 200}), "")), Counter::ip4_drop_bad_option) << "no length octet";
}

TEST(Ipv4, ASourceRouteIsNoticed) {
  for (int kind : {131, 137}) {
    const auto parsed = parse_ipv4(ip_packet(with_options({1, kind, 7, 4, 10, 0, 0, 1}), ""));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_TRUE(parsed->source_route) << kind;
  }
}

// --- ICMP
// --------------------------------------------------------------------------------------------------------------

TEST(Icmp4, WhatIsWrittenIsReadBack) {
  Rng rng(6);
  for (int round = 0; round < 5'000; ++round) {
    Icmp4Header h;
    h.type = static_cast<uint8_t>(rng.next());
    h.code = static_cast<uint8_t>(rng.next());
    h.rest = static_cast<uint32_t>(rng.next());
    const std::string body(rng.below(60), static_cast<char>(rng.next()));
    const Bytes message = icmp_message(h, body);
    const auto parsed = parse_icmp4(message);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_EQ(parsed->header, h);
    ASSERT_TRUE(std::ranges::equal(parsed->body, as_span(body)));
  }
  const Icmp4Header echo = Icmp4Header::echo(icmp4_type::echo_request, 0x1234, 0x5678);
  EXPECT_EQ(echo.identifier(), 0x1234);
  EXPECT_EQ(echo.sequence(), 0x5678);
}

// req: 792-hdr-a
TEST(Icmp4, AnyFlippedBitIsFound) {
  Bytes message = icmp_message(Icmp4Header::echo(icmp4_type::echo_request, 1, 2), "odd");
  for (size_t bit = 0; bit < message.size() * 8; ++bit) {
    message[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_EQ(parse_icmp4(message).error(), Counter::icmp_drop_bad_checksum) << "bit " << bit;
    message[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

// req: 792-hdr-b
TEST(Icmp4, ATruncatedMessageOrQuotationIsRefused) {
  const Bytes message = icmp_message(Icmp4Header::echo(icmp4_type::echo_request, 1, 2), "");
  for (size_t n = 0; n < 8; ++n)
    EXPECT_EQ(parse_icmp4(ByteSpan(message).first(n)).error(), Counter::icmp_drop_truncated) << n;
  const Bytes quoted = datagram("12345678");
  for (size_t n = 0; n < 28; ++n)
    EXPECT_EQ(parse_quoted_ipv4(ByteSpan(quoted).first(n)).error(), Counter::icmp_drop_truncated) << n;
  EXPECT_TRUE(parse_quoted_ipv4(quoted).has_value());
}

TEST(Icmp4, AQuotationMayBeCutAndItsChecksumBeStale) {
  Bytes whole = datagram(std::string(1000, 'x'));
  store8(whole, 8, 1);  // a router counted the TTL down and left the checksum alone
  const auto quoted = parse_quoted_ipv4(ByteSpan(whole).first(28));
  ASSERT_TRUE(quoted.has_value());
  EXPECT_EQ(quoted->header.total_length, 1020);
  EXPECT_EQ(quoted->header.destination, kB);
  EXPECT_EQ(quoted->payload.size(), 8u);
}

TEST(Icmp4, WhatFollowsAShortQuotedDatagramIsNoPartOfIt) {
  Bytes quoted = datagram("12345678");
  quoted.resize(128);  // RFC 4884: padded to 128 bytes, extensions behind
  EXPECT_EQ(parse_quoted_ipv4(quoted)->payload.size(), 8u);
}

TEST(Icmp4, AQuotationWithOptionsKeepsThem) {
  const Bytes quoted = ip_packet(with_options({7, 3, 4, 0}), "12345678");
  const auto parsed = parse_quoted_ipv4(quoted);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->header.options.length, 4);
  EXPECT_EQ(parsed->payload.size(), 8u);
  EXPECT_FALSE(parse_quoted_ipv4(ByteSpan(quoted).first(31)).has_value());
}

// --- UDP
// -----------------------------------------------------------------------------------------------------------------

TEST(Udp, WhatIsWrittenIsReadBack) {
  Rng rng(7);
  for (int round = 0; round < 5'000; ++round) {
    UdpHeader h;
    h.source_port = static_cast<uint16_t>(rng.next());
    h.destination_port = static_cast<uint16_t>(rng.next());
    const std::string body(rng.below(60), static_cast<char>(rng.next()));
    const Bytes datagram = udp_datagram(kA, kB, h, body);
    const auto parsed = parse_udp(datagram, kA, kB);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_EQ(parsed->header, h);
    ASSERT_TRUE(std::ranges::equal(parsed->payload, as_span(body)));
  }
}

// req: 768-csum-a
TEST(Udp, AComputedZeroIsSentAsAllOnes) {
  int seen = 0;
  for (int port = 0; port < 65536; ++port) {  // one source port makes the sum come out as zero
    const Bytes d = udp_datagram(kA, kB, {static_cast<uint16_t>(port), 53}, "");
    ASSERT_NE(load16(d, 6), 0) << port;
    if (load16(d, 6) == 0xffff) {
      ++seen;
      EXPECT_TRUE(parse_udp(d, kA, kB).has_value());
    }
  }
  EXPECT_GE(seen, 1);
}

// req: 768-csum-a, 1122-4.1.3.4-a
TEST(Udp, AZeroChecksumMeansNoneAndABadOneIsFound) {
  Bytes d = udp_datagram(kA, kB, {5000, 53}, "question");
  EXPECT_NE(load16(d, 6), 0) << "generated by default";
  for (size_t bit = 64; bit < d.size() * 8; ++bit) {
    d[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_EQ(parse_udp(d, kA, kB).error(), Counter::udp_drop_bad_checksum) << "bit " << bit;
    d[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_FALSE(parse_udp(d, kB, IpAddress::v4(10, 77, 0, 3)).has_value()) << "the addresses are covered";
  store16(d, 6, 0);
  EXPECT_TRUE(parse_udp(d, kA, kB).has_value());
  const IpAddress six = IpAddress::v6({0xfd});
  EXPECT_FALSE(parse_udp(d, six, six).has_value()) << "but not over IPv6 (RFC 8200)";
}

// req: 768-len-a
TEST(Udp, TheLengthFieldDecides) {
  Bytes d = udp_datagram(kA, kB, {5000, 53}, "question");
  d.resize(d.size() + 7);
  EXPECT_EQ(parse_udp(d, kA, kB)->payload.size(), 8u) << "the excess is not delivered";
  store16(d, 6, 0);
  for (int length : {0, 1, 7, 24, 65535}) {
    store16(d, 4, static_cast<uint16_t>(length));
    EXPECT_EQ(parse_udp(d, kA, kB).error(), Counter::udp_drop_bad_length) << length;
  }
  for (size_t n = 0; n < 8; ++n)
    EXPECT_EQ(parse_udp(ByteSpan(d).first(n), kA, kB).error(), Counter::udp_drop_bad_length) << n;
  store16(d, 4, 8);
  EXPECT_TRUE(parse_udp(d, kA, kB)->payload.empty());
}

}  // namespace
}  // namespace limpid
