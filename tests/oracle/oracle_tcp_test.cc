#include <gtest/gtest.h>

#include "tests/oracle/oracle.h"

namespace limpid {
namespace {

TcpHeader random_header(Dice& dice) {
  TcpHeader h;
  h.source_port = dice.u16();
  h.destination_port = dice.u16();
  h.sequence = dice.u32();
  h.acknowledgment = dice.u32();
  h.flags = dice.u8();
  h.window = dice.u16();
  h.urgent_pointer = dice.u16();
  TcpOptionSet& o = h.options;
  if (dice.coin()) o.mss = dice.u16();
  if (dice.coin()) o.window_scale = static_cast<uint8_t>(dice.below(15));
  o.sack_permitted = dice.coin();
  if (dice.coin()) {
    o.timestamps.emplace();
    o.timestamps->value = dice.u32();
    o.timestamps->echo = dice.u32();
  }
  const bool room_for_four = !o.mss && !o.window_scale && !o.sack_permitted && !o.timestamps;
  o.sack_count = static_cast<uint8_t>(dice.below(room_for_four ? 5 : 3));
  for (size_t i = 0; i < o.sack_count; ++i) {
    o.sack[i].left = dice.u32();
    o.sack[i].right = dice.u32();
  }
  return h;
}

void expect_same(const TcpHeader& h, const Tins::TCP& tins) {
  ASSERT_EQ(tins.sport(), h.source_port);
  ASSERT_EQ(tins.dport(), h.destination_port);
  ASSERT_EQ(tins.seq(), h.sequence);
  ASSERT_EQ(tins.ack_seq(), h.acknowledgment);
  ASSERT_EQ(tins.flags(), h.flags);
  ASSERT_EQ(tins.window(), h.window);
  ASSERT_EQ(tins.urg_ptr(), h.urgent_pointer);
  const TcpOptionSet& o = h.options;
  ASSERT_EQ(tins.search_option(Tins::TCP::MSS) != nullptr, o.mss.has_value());
  if (o.mss) {
    ASSERT_EQ(tins.mss(), *o.mss);
  }
  ASSERT_EQ(tins.search_option(Tins::TCP::WSCALE) != nullptr, o.window_scale.has_value());
  if (o.window_scale) {
    ASSERT_EQ(tins.winscale(), *o.window_scale);
  }
  ASSERT_EQ(tins.has_sack_permitted(), o.sack_permitted);
  ASSERT_EQ(tins.search_option(Tins::TCP::TSOPT) != nullptr, o.timestamps.has_value());
  if (o.timestamps) {
    ASSERT_EQ(tins.timestamp(), std::pair(o.timestamps->value, o.timestamps->echo));
  }
  ASSERT_EQ(tins.search_option(Tins::TCP::SACK) != nullptr, o.sack_count > 0);
  if (o.sack_count > 0) {
    const auto edges = tins.sack();
    ASSERT_EQ(edges.size(), 2u * o.sack_count);
    for (size_t i = 0; i < o.sack_count; ++i) ASSERT_EQ((SackBlock{edges[2 * i], edges[2 * i + 1]}), o.sack[i]);
  }
}

// req: 9293-MUST-2, 9293-3.1-a, 9293-MUST-68
TEST(OracleTcp, LibtinsReadsWhatWeWrite) {
  Dice dice(21);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const TcpHeader h = random_header(dice);
    const IpAddress from = dice.ip();
    const IpAddress to = dice.ip();
    const std::string text = dice.text(100);
    const Bytes packet = tcp_packet(from, to, h, text);

    Tins::IP ip(raw(packet), raw_size(packet));
    ASSERT_EQ(ours(ip.src_addr()), from);
    ASSERT_EQ(ours(ip.dst_addr()), to);
    expect_same(h, ip.rfind_pdu<Tins::TCP>());
    if (HasFatalFailure()) return;
    ASSERT_EQ(ours(ip.serialize()), packet) << "lengths and checksums";
  }
}

// In any order, with NOPs anywhere, now and then an option that nobody knows.
void add_random_options(Tins::TCP& tcp, const TcpOptionSet& o, Dice& dice) {
  std::vector<int> order{0, 1, 2, 3, 4, 5};
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[dice.below(i + 1)]);
  for (int what : order) {
    if (what == 0 && o.mss) tcp.mss(*o.mss);
    if (what == 1 && o.window_scale) tcp.winscale(*o.window_scale);
    if (what == 2 && o.sack_permitted) tcp.sack_permitted();
    if (what == 3 && o.timestamps) tcp.timestamp(o.timestamps->value, o.timestamps->echo);
    if (what == 4 && o.sack_count > 0) {
      Tins::TCP::sack_type edges;
      for (size_t i = 0; i < o.sack_count; ++i) edges.insert(edges.end(), {o.sack[i].left, o.sack[i].right});
      tcp.sack(edges);
    }
    if (what == 5 && dice.coin()) {
      const uint8_t value[2] = {dice.u8(), dice.u8()};
      if (dice.coin()) tcp.add_option(Tins::TCP::option(Tins::TCP::NOP));
      tcp.add_option(Tins::TCP::option(static_cast<Tins::TCP::OptionTypes>(253), 2, value));
    }
  }
}

// req: 9293-MUST-4, 9293-MUST-5, 9293-MUST-6, 9293-MUST-64
TEST(OracleTcp, WeReadWhatLibtinsWrites) {
  Dice dice(22);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    TcpHeader h = random_header(dice);
    if (h.options.sack_count > 1) h.options.sack_count = 1;  // so that all of them fit whatever their order
    for (size_t i = h.options.sack_count; i < h.options.sack.size(); ++i) h.options.sack[i] = {};
    const IpAddress from = dice.ip();
    const IpAddress to = dice.ip();
    const std::string text = dice.text(100);

    Tins::TCP tcp(h.destination_port, h.source_port);
    tcp.seq(h.sequence);
    tcp.ack_seq(h.acknowledgment);
    tcp.flags(h.flags);
    tcp.window(h.window);
    tcp.urg_ptr(h.urgent_pointer);
    add_random_options(tcp, h.options, dice);
    Tins::IP ip = Tins::IP(theirs(to), theirs(from)) / tcp / Tins::RawPDU(text);
    const Bytes packet = ours(ip.serialize());

    const auto parsed_ip = parse_ipv4(packet);
    ASSERT_TRUE(parsed_ip.has_value());
    const auto parsed = parse_tcp(ByteSpan(packet).subspan(parsed_ip->header_size), from, to);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_EQ(parsed->header.options, h.options);
    expect_same(parsed->header, tcp);
    if (HasFatalFailure()) return;
    ASSERT_EQ(packet.size() - parsed_ip->header_size - parsed->header_size, text.size());
  }
}

}  // namespace
}  // namespace limpid
