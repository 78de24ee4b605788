// Which packets go on where another ended, and what they are together.
#include "stack/wire/segment_row.h"

#include <gtest/gtest.h>

#include <string>

#include "stack/base/rng.h"
#include "stack/wire/super_segment.h"
#include "tests/support/packets.h"

namespace limpid {
namespace {

const IpAddress kA = IpAddress::v4(10, 77, 0, 1);
const IpAddress kB = IpAddress::v4(10, 77, 0, 2);
constexpr size_t kText = 20 + 32;  // where it begins: with timestamps

struct Parts {
  Ipv4Header ip = ip_header(kA, kB, IpProtocol::tcp);
  TcpHeader tcp{.source_port = 80,
                .destination_port = 4000,
                .sequence = 1000,
                .acknowledgment = 7,
                .flags = tcp_flag::ack,
                .window = 500};
  std::string text = std::string(100, 'x');
  Parts() { tcp.options.timestamps = {.value = 1, .echo = 2}; }
  Bytes packet() const { return ip_packet(ip, tcp_segment(ip.source, ip.destination, tcp, text)); }
};

// Whether a packet goes on behind one of 100 bytes at 1000.
template <class Change>
bool continues(Change change) {
  const Bytes first = Parts{}.packet();
  SegmentRow row;
  EXPECT_TRUE(row.begin(first, 0, false));
  Parts next;
  next.tcp.sequence = 1100;
  change(next);
  return row.append(next.packet(), false) == next.text.size();
}

TEST(SegmentRow, WhatDiffersInMoreThanItsPlaceBelongsElsewhere) {
  EXPECT_TRUE(continues([](Parts&) {}));
  EXPECT_TRUE(continues([](Parts& p) { p.ip.identification = 77; }));
  EXPECT_TRUE(continues([](Parts& p) { p.text = "short"; }));
  EXPECT_TRUE(continues([](Parts& p) { p.tcp.flags |= tcp_flag::psh; }));
  EXPECT_TRUE(continues([](Parts& p) { p.tcp.flags |= tcp_flag::fin; }));

  EXPECT_FALSE(continues([](Parts& p) { p.tcp.sequence = 1101; }));
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.sequence = 1000; })) << "once more";
  EXPECT_FALSE(continues([](Parts& p) { p.text += 'y'; })) << "longer than the first";
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.source_port = 81; }));
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.destination_port = 81; }));
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.acknowledgment = 8; }));
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.window = 501; }));
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.options.timestamps->value = 3; }));
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.options.timestamps.reset(); }));
  for (const uint8_t flag : {tcp_flag::syn, tcp_flag::rst, tcp_flag::urg, tcp_flag::ece, tcp_flag::cwr})
    EXPECT_FALSE(continues([flag](Parts& p) { p.tcp.flags |= flag; })) << int{flag};
  EXPECT_FALSE(continues([](Parts& p) { p.tcp.flags = tcp_flag::psh; })) << "no ACK";
  EXPECT_FALSE(continues([](Parts& p) { p.ip.source = kB; }));
  EXPECT_FALSE(continues([](Parts& p) { p.ip.destination = kA; }));
  EXPECT_FALSE(continues([](Parts& p) { p.ip.tos = 3; }));
  EXPECT_FALSE(continues([](Parts& p) { p.ip.ttl = 63; }));
  EXPECT_FALSE(continues([](Parts& p) { p.ip.dont_fragment = !p.ip.dont_fragment; }));
  EXPECT_FALSE(continues([](Parts& p) { p.ip.protocol = IpProtocol::udp; }));
}

TEST(SegmentRow, WhatCannotBeTheFirst) {
  SegmentRow row;
  const auto begins = [&row](auto change) {
    Parts p;
    change(p);
    return row.begin(p.packet(), 0, false);
  };
  EXPECT_TRUE(begins([](Parts&) {}));
  EXPECT_TRUE(begins([](Parts& p) { p.tcp.flags |= tcp_flag::ece; }));
  EXPECT_FALSE(begins([](Parts& p) { p.text.clear(); })) << "nothing to go on from";
  EXPECT_FALSE(begins([](Parts& p) { p.ip.more_fragments = true; }));
  EXPECT_FALSE(begins([](Parts& p) { p.ip.fragment_offset = 8; }));
  for (const uint8_t flag : {tcp_flag::syn, tcp_flag::rst, tcp_flag::urg, tcp_flag::psh, tcp_flag::fin, tcp_flag::cwr})
    EXPECT_FALSE(begins([flag](Parts& p) { p.tcp.flags |= flag; })) << int{flag};
  Bytes packet = Parts{}.packet();
  packet.back() ^= std::byte{1};
  EXPECT_FALSE(row.begin(packet, 0, false)) << "a wrong checksum";
  EXPECT_TRUE(row.begin(packet, 0, true)) << "which somebody vouches for";
  EXPECT_FALSE(row.begin(ByteSpan(packet).first(45), 0, true)) << "cut";
}

TEST(SegmentRow, AnyBitThatFlipsIsNoticed) {
  const Bytes first = Parts{}.packet();
  Parts p;
  p.tcp.sequence = 1100;
  const Bytes next = p.packet();
  for (size_t bit = 0; bit < next.size() * 8; ++bit) {
    SegmentRow row;
    ASSERT_TRUE(row.begin(first, 0, false));
    Bytes other = next;
    other[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
    EXPECT_EQ(row.append(other, false), 0U) << "bit " << bit;
  }
}

// Cut by SuperSegment, put together again: the same bytes.
TEST(SegmentRow, WhatWasCutComesTogetherAgain) {
  Rng rng(2);
  for (int round = 0; round < 100; ++round) {
    const auto each = static_cast<uint16_t>(1 + rng.below(2000));
    const auto size = static_cast<size_t>(1 + rng.below(uint64_t{each} * 12));
    Parts p;
    p.text.assign(size, 'x');
    for (size_t i = 0; i < size; ++i) p.text[i] = static_cast<char>(rng.next());
    if (rng.chance(500'000)) p.tcp.flags |= tcp_flag::psh;
    Bytes whole = p.packet();
    const FrameOffload offload{
        .segment_text = each, .checksum_begin = 20, .checksum_field = TcpHeader::kChecksumField, .checksum_open = true};
    const ByteSpan text = ByteSpan(whole).subspan(kText);
    Bytes together;
    SegmentRow row;
    uint32_t packets = 0;
    for (SuperSegment s(ByteSpan(whole).first(kText), 0, {&text, 1}, offload); s.next(); ++packets) {
      Bytes packet(s.head().begin(), s.head().end());
      for (const ByteSpan piece : s.body()) packet.insert(packet.end(), piece.begin(), piece.end());
      if (packets == 0) {
        together = packet;
        together.reserve(whole.size());  // the first one stays where it is
        if (!row.begin(together, 0, false)) break;
        continue;
      }
      ASSERT_EQ(row.append(packet, false), packet.size() - kText);
      together.insert(together.end(), packet.begin() + kText, packet.end());
    }
    if (row.packets() < 2) continue;
    const FrameOffload said = row.describe(together);
    EXPECT_EQ(said.segment_text, each);
    EXPECT_EQ(row.packets(), said.packets(static_cast<uint32_t>(size)));
    Checksum pseudo;
    pseudo.add(ByteSpan(whole).subspan(12, 8));
    pseudo.add16(6);
    pseudo.add32(static_cast<uint32_t>(whole.size() - 20));
    store16(whole, 20 + 16, static_cast<uint16_t>(~pseudo.finish()));
    EXPECT_EQ(together, whole);
    EXPECT_EQ(super_segment_text(together, 0, said), kText);
  }
}

}  // namespace
}  // namespace limpid
