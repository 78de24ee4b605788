// Super-segments: cut into the packets that they stand for, and described by a virtio-net header that is not believed
// blindly.
#include "stack/wire/super_segment.h"

#include <gtest/gtest.h>

#include <string>

#include "drivers/vnet_header.h"
#include "stack/base/checksum.h"
#include "stack/base/rng.h"
#include "stack/wire/pseudo_header.h"
#include "stack/wire/udp.h"
#include "tests/support/packets.h"

namespace limpid {
namespace {

const IpAddress kA = IpAddress::v4(10, 77, 0, 1);
const IpAddress kB = IpAddress::v4(10, 77, 0, 2);
constexpr uint8_t kAck = tcp_flag::ack;

struct Super {
  Bytes head;
  std::string text;
  FrameOffload offload;
  size_t link_header = 0;
};

// As an interface with offloads gets it: headers in one piece, the checksum open.
Super super_segment(size_t text, uint16_t each, uint8_t flags, size_t link_header = 0) {
  TcpHeader tcp{.source_port = 80,
                .destination_port = 4000,
                .sequence = 0xffff'ff00,  // the numbers wrap within it
                .acknowledgment = 7,
                .flags = flags,
                .window = 500};
  tcp.options.timestamps = {.value = 1, .echo = 2};
  Super s;
  s.link_header = link_header;
  for (size_t i = 0; i < text; ++i) s.text += static_cast<char>('a' + i % 26);
  Bytes segment(tcp.size());
  tcp.write_open(segment, kA, kB, text);
  Ipv4Header ip = ip_header(kA, kB, IpProtocol::tcp);
  ip.dont_fragment = true;
  ip.identification = 0xffff;
  ip.total_length = static_cast<uint16_t>(20 + tcp.size() + text);
  s.head.resize(link_header + 20);
  ip.write(MutableByteSpan(s.head).subspan(link_header));
  s.head.insert(s.head.end(), segment.begin(), segment.end());
  s.offload = {.segment_text = each,
               .checksum_begin = static_cast<uint16_t>(link_header + 20),
               .checksum_field = TcpHeader::kChecksumField,
               .checksum_open = true};
  return s;
}

struct Cut {
  Ipv4Header ip;
  TcpHeader tcp;
  std::string text;
};

// Every packet as a receiver would read it: with its checksums looked at. The text is given in pieces of `piece` bytes.
std::vector<Cut> cut(const Super& s, size_t piece = 1000) {
  std::vector<ByteSpan> body;
  for (ByteSpan rest = as_span(s.text); !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
    body.push_back(rest.first(std::min(piece, rest.size())));
  std::vector<Cut> cuts;
  for (SuperSegment super(s.head, s.link_header, body, s.offload); super.next();) {
    Bytes packet(super.head().begin() + static_cast<std::ptrdiff_t>(s.link_header), super.head().end());
    for (const ByteSpan p : super.body()) packet.insert(packet.end(), p.begin(), p.end());
    const auto ip = parse_ipv4(packet);
    EXPECT_TRUE(ip) << "packet " << cuts.size();
    if (!ip) break;
    const ByteSpan segment = ByteSpan(packet).subspan(ip->header_size);
    EXPECT_EQ(ip->payload_size, segment.size());
    const auto tcp = parse_tcp(segment, kA, kB);
    EXPECT_TRUE(tcp) << "packet " << cuts.size();
    if (!tcp) break;
    const ByteSpan text = segment.subspan(tcp->header_size);
    cuts.push_back({ip->header, tcp->header, {reinterpret_cast<const char*>(text.data()), text.size()}});
  }
  return cuts;
}

TEST(SuperSegment, IsCutIntoTheRowOfPacketsThatItStandsFor) {
  const Super s = super_segment(3500, 1000, kAck);
  const auto cuts = cut(s);
  ASSERT_EQ(cuts.size(), 4U);
  EXPECT_EQ(s.offload.packets(3500), 4U);
  std::string all;
  for (size_t i = 0; i < cuts.size(); ++i) {
    EXPECT_EQ(cuts[i].tcp.sequence, 0xffff'ff00 + static_cast<uint32_t>(1000 * i)) << "modulo 2^32";
    EXPECT_EQ(cuts[i].ip.identification, static_cast<uint16_t>(0xffff + i));
    EXPECT_EQ(cuts[i].tcp.acknowledgment, 7U);
    EXPECT_EQ(cuts[i].tcp.window, 500);
    EXPECT_EQ(cuts[i].tcp.options.timestamps->echo, 2U);
    EXPECT_TRUE(cuts[i].ip.dont_fragment);
    all += cuts[i].text;
  }
  EXPECT_EQ(cuts.back().text.size(), 500U);
  EXPECT_EQ(all, s.text);
}

// req: 3168-6.1.2-c
TEST(SuperSegment, FinAndPshAreTheLastOnesAndCwrTheFirstOnes) {
  const auto cuts = cut(super_segment(2500, 1000, kAck | tcp_flag::fin | tcp_flag::psh | tcp_flag::cwr));
  ASSERT_EQ(cuts.size(), 3U);
  EXPECT_EQ(cuts[0].tcp.flags, kAck | tcp_flag::cwr);
  EXPECT_EQ(cuts[1].tcp.flags, kAck);
  EXPECT_EQ(cuts[2].tcp.flags, kAck | tcp_flag::fin | tcp_flag::psh);
}

TEST(SuperSegment, OnePacketGetsItsChecksumAndNothingElse) {
  Super s = super_segment(0, 0, kAck);
  ASSERT_EQ(cut(s).size(), 1U);
  s = super_segment(700, 0, kAck | tcp_flag::psh);
  const auto cuts = cut(s);
  ASSERT_EQ(cuts.size(), 1U);
  EXPECT_EQ(cuts[0].text, s.text);
  EXPECT_EQ(cuts[0].ip.identification, 0xffff);
}

TEST(SuperSegment, ALinkHeaderIsCopiedToEachPacket) { EXPECT_EQ(cut(super_segment(2000, 900, kAck, 14)).size(), 3U); }

TEST(SuperSegment, WhereverItsTextLiesThePacketsAreTheSame) {
  Rng rng(1);
  for (int i = 0; i < 300; ++i) {
    const auto text = static_cast<size_t>(1 + rng.below(20'000));
    const auto each = static_cast<uint16_t>(1 + rng.below(2000));
    const Super s = super_segment(text, each, kAck);
    const auto cuts = cut(s, 1 + rng.below(5000));
    ASSERT_EQ(cuts.size(), s.offload.packets(static_cast<uint32_t>(text)));
    std::string all;
    for (const Cut& c : cuts) all += c.text;
    ASSERT_EQ(all, s.text);
  }
}

TEST(SuperSegment, AHeadThatCannotHoldItsHeadersIsNotCut) {
  Super s = super_segment(100, 50, kAck);
  s.offload.checksum_begin = 10;
  EXPECT_EQ(cut(s).size(), 0U);
  s.offload.checksum_begin = 60;
  EXPECT_EQ(cut(s).size(), 0U);
}

// Whatever its protocol: the sum of the pseudo-header stands in its place, and the rest is added.
TEST(SuperSegment, AnOpenChecksumOfAnotherProtocolIsFinished) {
  const std::string text = "seven..";
  const ByteSpan body = as_span(text);
  Bytes finished(28);
  Ipv4Header ip = ip_header(kA, kB, IpProtocol::udp);
  ip.total_length = 35;
  ip.write(MutableByteSpan(finished).first(20));
  UdpHeader{.source_port = 9, .destination_port = 10}.write(MutableByteSpan(finished).subspan(20), kA, kB, {&body, 1});
  Checksum pseudo;
  add_pseudo_header(pseudo, kA, kB, IpProtocol::udp, 15);
  Bytes open = finished;
  store16(open, 26, static_cast<uint16_t>(~pseudo.finish()));
  SuperSegment s(open, 0, {&body, 1}, {.checksum_begin = 20, .checksum_field = 6, .checksum_open = true});
  ASSERT_TRUE(s.next());
  EXPECT_EQ(Bytes(s.head().begin(), s.head().end()), finished);
  EXPECT_FALSE(s.next());
}

// What a link has left of it goes on as smaller ones, which are cut into the same packets.
TEST(SuperSegment, ItsPiecesStandForTheSamePackets) {
  const Super s = super_segment(9500, 1000, kAck | tcp_flag::psh | tcp_flag::cwr, 14);
  const auto packets = cut(s);
  const ByteSpan body = as_span(s.text);
  SuperSegment super(s.head, s.link_header, {&body, 1}, s.offload);
  size_t packet = 0;
  for (const uint32_t many : {3U, 1U, 4U, 9U}) {
    ASSERT_TRUE(super.next(many));
    EXPECT_EQ(super.offload().segment_text, many > 1 ? 1000 : 0);
    Super piece{.head = Bytes(super.head().begin(), super.head().end()),
                .text = {},
                .offload = super.offload(),
                .link_header = s.link_header};
    for (const ByteSpan p : super.body()) piece.text.append(reinterpret_cast<const char*>(p.data()), p.size());
    if (many == 1) {
      ++packet;
      continue;
    }
    for (const Cut& c : cut(piece)) {
      ASSERT_LT(packet, packets.size());
      EXPECT_EQ(c.text, packets[packet].text);
      EXPECT_EQ(c.tcp.sequence, packets[packet].tcp.sequence);
      EXPECT_EQ(c.tcp.flags, packets[packet].tcp.flags);
      EXPECT_EQ(c.ip.identification, packets[packet].ip.identification);
      ++packet;
    }
  }
  EXPECT_EQ(packet, packets.size());
  EXPECT_FALSE(super.next(1));
}

// For a device that finishes checksums and does not cut: cut, and each packet like one that was sent so.
TEST(SuperSegment, EachPacketsChecksumMayStayOpen) {
  const Super s = super_segment(2500, 1000, kAck | tcp_flag::psh);
  const auto packets = cut(s);
  const ByteSpan body = as_span(s.text);
  SuperSegment super(s.head, s.link_header, {&body, 1}, s.offload, true);
  for (const Cut& packet : packets) {
    ASSERT_TRUE(super.next());
    EXPECT_TRUE(super.offload().checksum_open);
    EXPECT_EQ(super.offload().segment_text, 0);
    Super one{.head = Bytes(super.head().begin(), super.head().end()),
              .text = {reinterpret_cast<const char*>(super.body()[0].data()), super.body()[0].size()},
              .offload = super.offload()};
    const auto finished = cut(one);  // its checksum is added up, and looked at
    ASSERT_EQ(finished.size(), 1U);
    EXPECT_EQ(finished[0].text, packet.text);
    EXPECT_EQ(finished[0].tcp.sequence, packet.tcp.sequence);
    EXPECT_EQ(finished[0].tcp.flags, packet.tcp.flags);
  }
  EXPECT_FALSE(super.next());
}

TEST(SuperSegment, ItsTextIsFoundOnlyWhereItsHeadersAgree) {
  const Super s = super_segment(3000, 1000, kAck, 14);
  Bytes frame = s.head;
  frame.insert(frame.end(), as_span(s.text).begin(), as_span(s.text).end());
  EXPECT_EQ(super_segment_text(frame, 14, s.offload), s.head.size());
  const auto found = [&](size_t at, uint8_t value, FrameOffload offload) {
    Bytes other = frame;
    store8(other, at, value);
    return super_segment_text(other, 14, offload).has_value();
  };
  EXPECT_FALSE(found(14, 0x65, s.offload)) << "IPv6";
  EXPECT_FALSE(found(14, 0x46, s.offload)) << "its IP header ends elsewhere";
  EXPECT_FALSE(found(14 + 9, 17, s.offload)) << "UDP";
  EXPECT_FALSE(found(14 + 3, 1, s.offload)) << "another length";
  EXPECT_FALSE(found(34 + 12, 0x40, s.offload)) << "a TCP header that is too short";
  EXPECT_FALSE(super_segment_text(ByteSpan(frame).first(50), 14, s.offload)) << "cut";
  FrameOffload other = s.offload;
  other.checksum_field = 6;
  EXPECT_FALSE(super_segment_text(frame, 14, other));
  EXPECT_FALSE(super_segment_text(frame, 0, s.offload));
}

// --- the virtio-net header
// --------------------------------------------------------------------------------------------------

using VnetBytes = std::array<std::byte, kVnetHeaderSize>;

struct VnetWords {
  uint8_t flags = 0, gso_type = 0;
  uint16_t header_length = 0, gso_size = 0, checksum_start = 0, checksum_offset = 0;
};

VnetBytes vnet(const VnetWords& w) {
  VnetBytes b;
  std::memcpy(b.data(), &w, b.size());
  return b;
}

TEST(VnetHeader, WhatIsWrittenIsReadBack) {
  const Super s = super_segment(3000, 1448, kAck);
  VnetBytes header;
  write_vnet_header(header, s.offload, s.head);
  const auto o = parse_vnet_header(header, s.head.size() + s.text.size());
  ASSERT_TRUE(o);
  EXPECT_EQ(o->segment_text, 1448);
  EXPECT_EQ(o->checksum_begin, 20);
  EXPECT_EQ(o->checksum_field, 16);
  EXPECT_TRUE(o->checksum_open);

  write_vnet_header(header, {}, s.head);
  EXPECT_EQ(header, VnetBytes{}) << "an ordinary packet";
}

TEST(VnetHeader, ACheckedSumIsVouchedFor) {
  const auto o = parse_vnet_header(vnet({.flags = 2}), 100);
  ASSERT_TRUE(o);
  EXPECT_TRUE(o->checksum_vouched());
  EXPECT_FALSE(o->checksum_open);
}

TEST(VnetHeader, OneThatLiesIsRefused) {
  constexpr uint8_t kOpen = 1, kTcp4 = 1, kUdp = 3, kUnknown = 9;
  const VnetWords good{.flags = kOpen,
                       .gso_type = kTcp4,
                       .header_length = 40,
                       .gso_size = 1460,
                       .checksum_start = 20,
                       .checksum_offset = 16};
  EXPECT_TRUE(parse_vnet_header(vnet(good), 3000));
  const auto refused = [&](auto change, size_t frame_size = 3000) {
    VnetWords w = good;
    change(w);
    return !parse_vnet_header(vnet(w), frame_size);
  };
  EXPECT_TRUE(refused([](VnetWords& w) { w.gso_size = 0; })) << "segments without text";
  EXPECT_TRUE(refused([](VnetWords& w) { w.gso_type = kUdp; })) << "was not agreed on";
  EXPECT_TRUE(refused([](VnetWords& w) { w.gso_type = kUnknown; }));
  EXPECT_TRUE(refused([](VnetWords& w) { w.flags = 0; })) << "a super-segment with a finished checksum";
  EXPECT_TRUE(refused([](VnetWords& w) { w.checksum_start = 2990; })) << "the field lies beyond the frame";
  EXPECT_TRUE(refused([](VnetWords& w) { w.checksum_offset = 65535; }));
  EXPECT_TRUE(refused([](VnetWords&) {}, 37)) << "likewise";
  EXPECT_TRUE(refused([](VnetWords& w) { w.header_length = 3001; })) << "headers beyond the frame";
  EXPECT_FALSE(refused([](VnetWords& w) { w.header_length = 3000; })) << "a hint, which may count text too";
  EXPECT_FALSE(parse_vnet_header(ByteSpan(vnet(good)).first(9), 3000)) << "cut";
}

}  // namespace
}  // namespace limpid
