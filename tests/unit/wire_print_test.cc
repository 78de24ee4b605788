#include <gtest/gtest.h>

#include "stack/wire/print.h"
#include "tests/support/packets.h"

namespace limpid {
namespace {

const IpAddress kA = IpAddress::v4(10, 77, 0, 1);
const IpAddress kB = IpAddress::v4(10, 77, 0, 2);

TEST(Print, ASyn) {
  TcpHeader h{.source_port = 40000, .destination_port = 80, .sequence = 1, .flags = tcp_flag::syn, .window = 64240};
  h.options.mss = 1460;
  h.options.sack_permitted = true;
  h.options.timestamps = TcpTimestamps{7, 0};
  h.options.window_scale = 8;
  EXPECT_EQ(print_packet(tcp_packet(kA, kB, h)),
            "IP 10.77.0.1.40000 > 10.77.0.2.80: Flags [S], seq 1, win 64240, "
            "options [mss 1460,sackOK,TS val 7 ecr 0,nop,wscale 8], length 0");
}

TEST(Print, TextAndSackRelativeToTheInitialNumbers) {
  TcpHeader h{.source_port = 80,
              .destination_port = 40000,
              .sequence = 1001,
              .acknowledgment = 0xfffffff6,
              .flags = tcp_flag::ack | tcp_flag::psh,
              .window = 500};
  h.options.sack_count = 2;
  h.options.sack[0] = {0, 10};
  h.options.sack[1] = {20, 30};
  EXPECT_EQ(print_packet(tcp_packet(kB, kA, h, "hello"), {.sequence = 1000, .acknowledgment = 0xfffffff0}),
            "IP 10.77.0.2.80 > 10.77.0.1.40000: Flags [P.], seq 1:6, ack 6, win 500, "
            "options [nop,nop,sack 2 {16:26}{36:46}], length 5");
}

TEST(Print, OtherFlags) {
  EXPECT_EQ(print_packet(tcp_packet(kA, kB, {.flags = 0})),
            "IP 10.77.0.1.0 > 10.77.0.2.0: Flags [none], win 0, length 0");
  EXPECT_EQ(print_packet(tcp_packet(kA, kB, {.flags = 0xff, .urgent_pointer = 3})),
            "IP 10.77.0.1.0 > 10.77.0.2.0: Flags [FSRP.UEW], seq 0, ack 0, win 0, urg 3, length 0");
}

TEST(Print, ABadChecksumIsSaidAndACutPacketIsNot) {
  Bytes packet = tcp_packet(kA, kB, {.flags = tcp_flag::ack}, "0123456789");
  const std::string good = print_packet(packet);
  EXPECT_EQ(print_packet(ByteSpan(packet).first(40)), good) << "the headers are enough";
  packet.back() ^= std::byte{1};
  EXPECT_EQ(print_packet(packet),
            "IP 10.77.0.1.0 > 10.77.0.2.0: Flags [.], bad checksum, seq 0:10, ack 0, win 0, length 10");
}

TEST(Print, Udp) {
  EXPECT_EQ(print_packet(udp_packet(kA, kB, {5000, 53}, "question")),
            "IP 10.77.0.1.5000 > 10.77.0.2.53: UDP, length 8");
}

TEST(Print, Icmp) {
  EXPECT_EQ(print_packet(icmp_packet(kA, kB, Icmp4Header::echo(icmp4_type::echo_request, 3, 9), "0123")),
            "IP 10.77.0.1 > 10.77.0.2: ICMP echo request, id 3, seq 9, length 12");
  const Bytes about = udp_packet(kB, kA, {5000, 53}, "question");
  const std::string_view quote(reinterpret_cast<const char*>(about.data()), 28);
  EXPECT_EQ(
      print_packet(icmp_packet(kA, kB, {.type = icmp4_type::unreachable, .code = icmp4_unreachable::port}, quote)),
      "IP 10.77.0.1 > 10.77.0.2: ICMP port unreachable, about udp 10.77.0.2.5000 > 10.77.0.1.53, length 36");
  EXPECT_EQ(print_packet(icmp_packet(kA, kB, {.type = icmp4_type::unreachable, .code = 4, .rest = 1400}, "")),
            "IP 10.77.0.1 > 10.77.0.2: ICMP fragmentation needed, mtu 1400, about nothing readable, length 8");
}

TEST(Print, AFragment) {
  Ipv4Header ip{.identification = 7,
                .more_fragments = true,
                .fragment_offset = 16,
                .protocol = IpProtocol::udp,
                .source = kA,
                .destination = kB};
  EXPECT_EQ(print_packet(ip_packet(ip, "01234567")),
            "IP 10.77.0.1 > 10.77.0.2: ip-proto-17 fragment, id 7, offset 16, length 8, more follow");
}

TEST(Print, WhatIsBrokenIsNamed) {
  EXPECT_EQ(print_packet({}), "IP malformed: header cut, or shorter than its length fields say, length 0");
  Bytes packet = udp_packet(kA, kB, {1, 2}, "");
  packet[8] ^= std::byte{1};
  EXPECT_EQ(print_packet(packet), "IP malformed: header checksum does not verify, length 28");
  const Ipv4Header tcp{.protocol = IpProtocol::tcp, .source = kA, .destination = kB};
  EXPECT_EQ(print_packet(ip_packet(tcp, "tooshort")),
            "IP 10.77.0.1 > 10.77.0.2: TCP malformed: shorter than a TCP header");
  const Bytes six{std::byte{0x60}, std::byte{0}};
  EXPECT_EQ(print_packet(six), "IP6, length 2");
}

TEST(Print, Frames) {
  const MacAddress a{{2, 0, 0, 0, 0, 1}};
  const ArpPacket who{.sender_mac = a, .sender_ip = kA, .target_ip = kB};
  const EthernetHeader broadcast{.destination = MacAddress::broadcast(), .source = a, .type = ether_type::arp};
  EXPECT_EQ(print_frame(frame(broadcast, arp_bytes(who))), "ARP, Request who-has 10.77.0.2 tell 10.77.0.1");
  const ArpPacket reply{.operation = ArpPacket::kReply, .sender_mac = a, .sender_ip = kA, .target_ip = kB};
  EXPECT_EQ(print_frame(frame(broadcast, arp_bytes(reply))), "ARP, Reply 10.77.0.1 is-at 02:00:00:00:00:01");
  const EthernetHeader ip{.destination = a, .source = a, .type = ether_type::ipv4};
  EXPECT_EQ(print_frame(frame(ip, udp_packet(kA, kB, {1, 2}, ""))), "IP 10.77.0.1.1 > 10.77.0.2.2: UDP, length 0");
  const EthernetHeader lldp{.destination = a, .source = a, .type = 0x88cc};
  EXPECT_EQ(print_frame(frame(lldp, {})), "02:00:00:00:00:01 > 02:00:00:00:00:01, ethertype 0x88cc, length 14");
}

}  // namespace
}  // namespace limpid
