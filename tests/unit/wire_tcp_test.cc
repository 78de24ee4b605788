#include <gtest/gtest.h>

#include <vector>

#include "stack/base/checksum.h"
#include "stack/base/rng.h"
#include "stack/wire/tcp.h"

namespace limpid {
namespace {

const IpAddress kA = IpAddress::v4(10, 77, 0, 1);
const IpAddress kB = IpAddress::v4(10, 77, 0, 2);

using Bytes = std::vector<std::byte>;

Bytes bytes(std::initializer_list<int> values) {
  Bytes b;
  for (int v : values) b.push_back(static_cast<std::byte>(v));
  return b;
}

Bytes encode(const TcpOptionSet& o) {
  Bytes out(o.size());
  o.write(out);
  return out;
}

Bytes encode(const TcpHeader& h, const Bytes& text) {
  Bytes out(h.size());
  const ByteSpan piece(text);
  h.write(out, kA, kB, {&piece, 1});
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

// Makes the checksum right again after a test has changed the header.
void repair_checksum(Bytes& segment) {
  store16(segment, 16, 0);
  Checksum sum;
  sum.add32(kA.v4_bits());
  sum.add32(kB.v4_bits());
  sum.add16(6);
  sum.add16(static_cast<uint16_t>(segment.size()));
  sum.add(segment);
  store16(segment, 16, sum.finish());
}

bool equal_headers(const TcpHeader& a, const TcpHeader& b) {
  return a.source_port == b.source_port && a.destination_port == b.destination_port && a.sequence == b.sequence &&
         a.acknowledgment == b.acknowledgment && a.flags == b.flags && a.window == b.window &&
         a.urgent_pointer == b.urgent_pointer && a.options == b.options;
}

TEST(TcpHeader, ProgressIsAllThatDiffersInARow) {
  TcpHeader h{.source_port = 80, .destination_port = 4000, .sequence = 1, .acknowledgment = 9, .window = 500};
  h.flags = tcp_flag::ack;
  h.options.timestamps = TcpTimestamps{1, 2};
  Bytes row(h.size());
  h.write(row, kA, kB, {});

  h.sequence = 1461;
  h.flags = tcp_flag::ack | tcp_flag::psh | tcp_flag::urg;
  h.urgent_pointer = 3;
  const Bytes text = bytes({1, 2, 3});
  const ByteSpan piece(text);
  h.write_progress(row);
  TcpHeader::close(row, kA, kB, {&piece, 1});
  row.insert(row.end(), text.begin(), text.end());
  EXPECT_EQ(row, encode(h, text));
}

TEST(TcpOptions, ASynLooksLikeLinuxes) {
  TcpOptionSet o;
  o.mss = 1460;
  EXPECT_EQ(encode(o), bytes({2, 4, 5, 0xb4}));

  o.window_scale = 8;
  EXPECT_EQ(encode(o), bytes({2, 4, 5, 0xb4, 1, 3, 3, 8})) << "mss 1460,nop,wscale 8";

  o.sack_permitted = true;
  EXPECT_EQ(encode(o), bytes({2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 8})) << "mss 1460,nop,nop,sackOK,nop,wscale 8";

  o.timestamps = TcpTimestamps{1, 2};
  EXPECT_EQ(encode(o), bytes({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 8}))
      << "mss 1460,sackOK,TS,nop,wscale 8";
}

TEST(TcpOptions, AnAckLooksLikeLinuxes) {
  TcpOptionSet o;
  o.sack_count = 1;
  o.sack[0] = {0x10, 0x20};
  EXPECT_EQ(encode(o), bytes({1, 1, 5, 10, 0, 0, 0, 0x10, 0, 0, 0, 0x20})) << "nop,nop,sack";

  o.timestamps = TcpTimestamps{1, 2};
  EXPECT_EQ(encode(o), bytes({1, 1, 8, 10, 0, 0, 0, 1,    0, 0, 0, 2,  //
                              1, 1, 5, 10, 0, 0, 0, 0x10, 0, 0, 0, 0x20}))
      << "nop,nop,TS,nop,nop,sack";
}

TEST(TcpOptions, SackBlocksThatDoNotFitAreLeftOut) {
  TcpOptionSet o;
  o.sack_count = 4;
  EXPECT_EQ(o.size(), 36u);
  o.timestamps = TcpTimestamps{};
  EXPECT_EQ(o.size(), 40u);
  EXPECT_EQ(TcpOptionSet::parse(encode(o)).sack_count, 3);
  o.mss = 1460;
  o.window_scale = 7;
  o.sack_permitted = true;
  EXPECT_EQ(TcpOptionSet::parse(encode(o)).sack_count, 2) << "every option at once still fits";
  EXPECT_LE(o.size(), TcpOptionSet::kMaxSize);
}

// req: 9293-MUST-4, 9293-MUST-64
TEST(TcpOptions, NopsAndAnyAlignmentAreUnderstood) {
  const TcpOptionSet o =
      TcpOptionSet::parse(bytes({1, 2, 4, 0x02, 0x18, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 4, 2, 3, 3, 5, 0, 2, 4}));
  EXPECT_EQ(o.mss, 536);
  EXPECT_EQ(o.timestamps, (TcpTimestamps{7, 9}));
  EXPECT_TRUE(o.sack_permitted);
  EXPECT_EQ(o.window_scale, 5);
  EXPECT_FALSE(o.malformed);
}

// req: 9293-MUST-69
TEST(TcpOptions, NothingBehindTheEndOfListIsRead) {
  const TcpOptionSet o = TcpOptionSet::parse(bytes({0, 2, 4, 5, 0xb4, 3, 0, 0}));
  EXPECT_FALSE(o.mss.has_value());
  EXPECT_FALSE(o.malformed);
}

// req: 9293-MUST-6, 9293-MUST-68, 5482-2-a
TEST(TcpOptions, UnknownKindsAreSkippedByTheirLength) {
  const TcpOptionSet o = TcpOptionSet::parse(bytes({253, 4, 9, 9, 99, 6, 2, 4, 1, 1, 28, 4, 0, 60, 2, 4, 5, 0xb4}));
  EXPECT_EQ(o.mss, 1460);
  EXPECT_FALSE(o.malformed);
}

TEST(TcpOptions, AKnownKindOfAnotherLengthIsSkipped) {
  const TcpOptionSet o = TcpOptionSet::parse(
      bytes({2, 3, 1, 3, 4, 1, 1, 4, 3, 0, 8, 6, 0, 0, 0, 0, 5, 9, 0, 0, 0, 0, 0, 0, 0, 2, 4, 0, 99}));
  EXPECT_EQ(o.mss, 99);
  EXPECT_FALSE(o.window_scale || o.timestamps || o.sack_permitted || o.malformed);
  EXPECT_EQ(o.sack_count, 0);
}

// req: 9293-MUST-7
TEST(TcpOptions, AnIllegalLengthEndsTheWalkAndKeepsWhatCameBefore) {
  for (int kind : {2, 3, 4, 5, 8, 99})
    for (int length : {0, 1, 5, 255}) {
      const TcpOptionSet o = TcpOptionSet::parse(bytes({2, 4, 0, 50, kind, length, 0, 0}));
      EXPECT_EQ(o.mss, 50) << kind << "/" << length;
      EXPECT_TRUE(o.malformed) << kind << "/" << length;
    }
  EXPECT_TRUE(TcpOptionSet::parse(bytes({1, 1, 1, 2})).malformed) << "the length octet is missing";
}

// req: 7323-2.3-b
TEST(TcpOptions, AWindowShiftAbove14Is14) {
  EXPECT_EQ(TcpOptionSet::parse(bytes({3, 3, 14, 1})).window_scale, 14);
  EXPECT_EQ(TcpOptionSet::parse(bytes({3, 3, 15, 1})).window_scale, 14);
  EXPECT_EQ(TcpOptionSet::parse(bytes({3, 3, 255, 1})).window_scale, 14);
}

TcpHeader random_header(Rng& rng) {
  TcpHeader h;
  h.source_port = static_cast<uint16_t>(rng.next());
  h.destination_port = static_cast<uint16_t>(rng.next());
  h.sequence = static_cast<uint32_t>(rng.next());
  h.acknowledgment = static_cast<uint32_t>(rng.next());
  h.flags = static_cast<uint8_t>(rng.next());
  h.window = static_cast<uint16_t>(rng.next());
  h.urgent_pointer = static_cast<uint16_t>(rng.next());
  if (rng.below(2) == 1) h.options.mss = static_cast<uint16_t>(rng.next());
  if (rng.below(2) == 1) h.options.window_scale = static_cast<uint8_t>(rng.below(15));
  h.options.sack_permitted = rng.below(2) == 1;
  if (rng.below(2) == 1) {
    h.options.timestamps.emplace();
    h.options.timestamps->value = static_cast<uint32_t>(rng.next());
    h.options.timestamps->echo = static_cast<uint32_t>(rng.next());
  }
  h.options.sack_count = static_cast<uint8_t>(rng.below(3));  // two always fit
  for (size_t i = 0; i < h.options.sack_count; ++i) {
    h.options.sack[i].left = static_cast<uint32_t>(rng.next());
    h.options.sack[i].right = static_cast<uint32_t>(rng.next());
  }
  return h;
}

// req: 9293-MUST-2, 9293-MUST-5, 9293-3.1-a
TEST(TcpHeader, WhatIsWrittenIsReadBack) {
  Rng rng(4);
  for (int round = 0; round < 20'000; ++round) {
    const TcpHeader h = random_header(rng);
    Bytes text(rng.below(40));
    for (std::byte& b : text) b = static_cast<std::byte>(rng.next());
    const Bytes segment = encode(h, text);
    const auto parsed = parse_tcp(segment, kA, kB);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_TRUE(equal_headers(parsed->header, h)) << "round " << round;
    ASSERT_EQ(parsed->header_size, h.size());
  }
}

TEST(TcpHeader, ABodyInPiecesHasTheChecksumOfTheWhole) {
  const Bytes text = bytes({1, 2, 3, 4, 5, 6, 7});
  const TcpHeader h;
  const Bytes whole = encode(h, text);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const ByteSpan pieces[] = {ByteSpan(text).first(cut), ByteSpan(text).subspan(cut)};
    Bytes out(h.size());
    h.write(out, kA, kB, pieces);
    EXPECT_EQ(load16(out, 16), load16(whole, 16)) << "cut at " << cut;
  }
}

// req: 9293-MUST-3
TEST(TcpHeader, AnyFlippedBitIsFound) {
  Bytes segment = encode(TcpHeader{.source_port = 1, .destination_port = 2}, bytes({1, 2, 3}));
  for (size_t bit = 0; bit < segment.size() * 8; ++bit) {
    segment[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(parse_tcp(segment, kA, kB).has_value()) << "bit " << bit;
    segment[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_TRUE(parse_tcp(segment, kA, kB).has_value());
  EXPECT_EQ(parse_tcp(segment, kA, IpAddress::v4(10, 77, 0, 3)).error(), Counter::tcp_drop_bad_checksum)
      << "the addresses are covered too";
}

// req: 9293-3.1-b
TEST(TcpHeader, ADataOffsetOutsideTheSegmentIsDropped) {
  const Bytes good = encode(TcpHeader{}, {});
  for (int offset : {0, 1, 2, 3, 4, 6, 15}) {
    Bytes segment = good;
    store8(segment, 12, static_cast<uint8_t>(offset << 4));
    repair_checksum(segment);
    EXPECT_EQ(parse_tcp(segment, kA, kB).error(), Counter::tcp_drop_bad_offset) << offset;
  }
  for (size_t n = 0; n < 20; ++n)
    EXPECT_EQ(parse_tcp(ByteSpan(good).first(n), kA, kB).error(), Counter::tcp_drop_truncated) << n;
}

// req: 9293-3.1-c
TEST(TcpHeader, ReservedBitsAreZeroWhenSentAndIgnoredWhenReceived) {
  Bytes segment = encode(TcpHeader{.flags = 0xff}, {});
  EXPECT_EQ(load8(segment, 12), 0x50);
  store8(segment, 12, 0x5f);
  repair_checksum(segment);
  const auto parsed = parse_tcp(segment, kA, kB);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(equal_headers(parsed->header, TcpHeader{.flags = 0xff}));
}

}  // namespace
}  // namespace limpid
