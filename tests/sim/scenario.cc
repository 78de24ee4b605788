#include "tests/sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "stack/base/rng.h"

namespace limpid::sim {

namespace {

template <class T, size_t N>
T pick(Rng& rng, const T (&choices)[N]) {
  return choices[rng.below(N)];
}

Duration between(Rng& rng, Duration low, Duration high) {
  return Duration(
      static_cast<int64_t>(rng.between(static_cast<uint64_t>(low.count()), static_cast<uint64_t>(high.count()))));
}

// From 0 to `high`, small values as likely as large ones.
uint64_t spread(Rng& rng, uint64_t high) {
  const uint64_t bits = rng.below(64 - static_cast<uint64_t>(std::countl_zero(high | 1)) + 1);
  const uint64_t value = rng.below((uint64_t{1} << bits) + 1);
  return std::min(high, value);
}

uint32_t percent(uint32_t p) { return p * 10'000; }

HostPlan draw_host(Rng& rng, size_t index) {
  HostPlan host;
  host.name = std::string(1, static_cast<char>('a' + index));
  TcpConfig& tcp = host.config.tcp;
  tcp.msl = pick(rng, {Duration{500ms}, Duration{5s}, Duration{30s}});
  tcp.delayed_ack = pick(rng, {Duration{0ms}, Duration{10ms}, Duration{40ms}, Duration{200ms}});
  tcp.offer_window_scale = !rng.chance(percent(20));
  Rng options = rng.split("options of " + host.name);
  tcp.offer_timestamps = !options.chance(percent(25));
  tcp.offer_sack = !options.chance(percent(25));
  Rng choice = rng.split("congestion " + host.name);
  tcp.congestion = pick(choice, {CongestionChoice::reno, CongestionChoice::cubic});
  tcp.ecn = pick(choice, {EcnMode::off, EcnMode::on, EcnMode::passive});
  tcp.send_dsack = !options.chance(percent(20));
  tcp.quick_acks = pick(options, {uint8_t{0}, uint8_t{2}, uint8_t{16}});
  tcp.initial_window_segments = pick(rng, {1U, 2U, 3U, 10U, 10U, 10U});
  const bool near_wrap = rng.chance(percent(40));
  const uint32_t below_wrap = static_cast<uint32_t>(spread(rng, 300'000));
  if (near_wrap) tcp.isn_for_tests = 0U - 1U - below_wrap;
  host.config.frame_memory = uint64_t{64} << 20;
  host.config.ip.cut_bursts = host.config.ip.merge_segments = false;  // each packet by itself, for the record
  return host;
}

void draw_rate(Rng& rng, SimImpairments& way) {
  way.rate = pick(rng, {uint64_t{128'000}, uint64_t{1'000'000}, uint64_t{10'000'000}, uint64_t{100'000'000},
                        uint64_t{1'000'000'000}});
  way.queue_frames = static_cast<uint32_t>(rng.between(10, 300));
  way.refuse_when_full = rng.chance(percent(40));
  if (rng.chance(percent(30))) way.queue_bytes = static_cast<uint32_t>(rng.between(10'000, 200'000));
}

SimImpairments draw_impairments(Rng& rng, bool allow_cuts) {
  SimImpairments way;
  if (!rng.chance(percent(15)))
    way.delay = between(rng, 10us, pick(rng, {Duration{1ms}, Duration{40ms}, Duration{300ms}}));
  if (rng.chance(percent(40))) way.jitter = between(rng, 1us, 30ms);
  if (rng.chance(percent(50))) draw_rate(rng, way);
  const uint64_t harm = rng.below(10);
  if (harm >= 3) way.loss_ppm = static_cast<uint32_t>(spread(rng, harm == 9 ? percent(20) : percent(3)));
  if (rng.chance(percent(15))) {
    const uint64_t losses = rng.between(1, 6);
    for (uint64_t i = 0; i < losses; ++i) way.lose.push_back(rng.between(1, 40));
  }
  if (rng.chance(percent(30))) way.reorder_ppm = static_cast<uint32_t>(spread(rng, percent(20)));
  way.reorder_delay = between(rng, 10us, 20ms);
  if (rng.chance(percent(30))) way.duplicate_ppm = static_cast<uint32_t>(spread(rng, percent(10)));
  if (rng.chance(percent(20))) way.corrupt_ppm = static_cast<uint32_t>(spread(rng, percent(3)));
  if (allow_cuts) {
    const Time from{between(rng, 1ms, 20s)};
    way.cuts.push_back({from, rng.chance(percent(15)) ? kNever : from + between(rng, 1ms, 20s)});
  }
  return way;
}

LinkPlan draw_link(Rng& rng, size_t index, size_t a, size_t b) {
  LinkPlan link;
  link.hosts[0] = a;
  link.hosts[1] = b;
  const uint8_t net = static_cast<uint8_t>(index + 1);
  link.addresses[0] = IpAddress::v4(10, 1, net, 1);
  link.addresses[1] = IpAddress::v4(10, 1, net, 2);
  link.config.name = "sim" + std::to_string(index);
  link.config.mtu = pick(rng, {576U, 1280U, 1500U, 1500U, 1500U, 9000U, 65'535U});
  link.config.ethernet = rng.chance(percent(25));
  const bool cuts = rng.chance(percent(12));
  link.config.direction[0] = draw_impairments(rng, cuts);
  link.config.direction[1] = draw_impairments(rng, cuts && rng.chance(percent(70)));
  return link;
}

TcpOptions draw_options(Rng& rng) {
  TcpOptions options;
  const uint32_t sizes[] = {256, 600, 1460, 3000, 10'000, 65'535, 65'536, 200'000, 1 << 20};
  if (rng.chance(percent(40))) options.receive_buffer = pick(rng, sizes);
  if (rng.chance(percent(40))) options.send_buffer = pick(rng, sizes);
  if (rng.chance(percent(20))) options.max_segment = static_cast<uint16_t>(rng.between(64, 1460));
  options.no_delay = rng.chance(percent(40));
  options.cork = rng.chance(percent(5));
  options.quick_ack = !rng.chance(percent(10));
  if (rng.chance(percent(20))) {
    options.keepalive = true;
    options.keepalive_time = between(rng, 100ms, 30s);
    options.keepalive_interval = between(rng, 1s, 10s);
    options.keepalive_probes = static_cast<uint32_t>(rng.between(9, 20));
  }
  return options;
}

TalkerPlan draw_talker(Rng& rng, uint64_t byte_budget) {
  TalkerPlan talker;
  talker.options = draw_options(rng);
  if (!rng.chance(percent(15))) talker.bytes = spread(rng, byte_budget);
  // Little segments, windows and buffers make many steps of few bytes.
  if (talker.options.max_segment != 0 && talker.options.max_segment < 300)
    talker.bytes = std::min<uint64_t>(talker.bytes, 30'000);
  talker.write_chunk = static_cast<uint32_t>(1 + spread(rng, 20'000));
  talker.read_chunk = static_cast<uint32_t>(1 + spread(rng, 70'000));
  talker.write_chunk = std::max<uint32_t>(talker.write_chunk, static_cast<uint32_t>(talker.bytes / 200));
  if (rng.chance(percent(20))) talker.write_pause = between(rng, 1us, 300ms);
  if (rng.chance(percent(20))) talker.read_pause = between(rng, 1us, 300ms);
  if (rng.chance(percent(10))) talker.read_after = between(rng, 1ms, 90s);
  const uint64_t farewell = rng.below(100);
  if (farewell >= 97)
    talker.farewell = Farewell::stop_reading;
  else if (farewell >= 88)
    talker.farewell = Farewell::abort;
  else if (farewell >= 78)
    talker.farewell = Farewell::close;
  talker.abort_after = spread(rng, talker.bytes + 2000);
  talker.peeks = rng.chance(percent(15));
  talker.changes_options = rng.chance(percent(15));
  return talker;
}

// The peer's reads must not take for ever: few bytes a read means few reads.
void bound_reading(TalkerPlan& reader, const TalkerPlan& writer) {
  reader.read_chunk = std::max<uint32_t>(reader.read_chunk, static_cast<uint32_t>(writer.bytes / 300));
}

// A path on which a connection has no excuse to fail: what is lost is little, and no silence outlasts a retry limit.
// ARP has three tries of a second each, so Ethernet must be better than that.
bool must_deliver(const LinkPlan& link) {
  const bool ethernet = link.config.ethernet;
  return std::ranges::all_of(link.config.direction, [ethernet](const SimImpairments& way) {
    const bool slow = way.rate != 0 && way.rate < 1'000'000;
    const bool cut_for_ever = std::ranges::any_of(way.cuts, [](const SimCut& cut) { return cut.to == kNever; });
    if (ethernet && !(way.cuts.empty() && way.lose.empty())) return false;
    return way.loss_ppm + way.corrupt_ppm <= percent(ethernet ? 1 : 4) && !slow && !cut_for_ever;
  });
}

bool ends_well(const TalkerPlan& talker, const TalkerPlan& peer) {
  return talker.farewell == Farewell::graceful || (talker.farewell == Farewell::close && peer.bytes == 0);
}

ConversationPlan draw_conversation(Rng& rng, const Scenario& scenario, uint64_t byte_budget) {
  ConversationPlan talk;
  talk.link = rng.below(scenario.links.size());
  talk.client_end = rng.below(2);
  if (!rng.chance(percent(30))) talk.start = between(rng, 0ms, 5s);
  talk.client = draw_talker(rng, byte_budget);
  talk.server = draw_talker(rng, byte_budget);
  bound_reading(talk.client, talk.server);
  bound_reading(talk.server, talk.client);
  const LinkPlan& link = scenario.links[talk.link];
  talk.must_finish = must_deliver(link) && ends_well(talk.client, talk.server) && ends_well(talk.server, talk.client);
  return talk;
}

void draw_conversations(Rng& rng, Scenario& scenario) {
  const bool crowd = rng.chance(percent(8));
  const uint64_t count = crowd ? rng.between(20, 80) : rng.between(1, 6);
  const uint64_t budget = crowd ? 4000 : rng.chance(percent(5)) ? 1'500'000 : 120'000;
  for (uint64_t i = 0; i < count; ++i) {
    ConversationPlan talk = draw_conversation(rng, scenario, budget);
    talk.to_itself = rng.chance(percent(6));
    if (talk.to_itself) talk.must_finish = ends_well(talk.client, talk.server) && ends_well(talk.server, talk.client);
    const size_t server_host = scenario.links[talk.link].hosts[talk.server_end()];
    const uint64_t kind = rng.below(100);
    if (kind < 8) {
      talk.simultaneous = true;
      if (talk.to_itself) talk.must_finish = false;  // the first SYN arrives at once, and finds nobody
      talk.client_port = static_cast<uint16_t>(2000 + i);
      talk.server_port = static_cast<uint16_t>(3000 + i);
    } else if (kind < 12) {
      talk.nobody_there = true;
      talk.must_finish = false;
      talk.server_port = static_cast<uint16_t>(4000 + i);
    } else {
      std::vector<const ListenerPlan*> here;
      for (const ListenerPlan& listener : scenario.listeners)
        if (listener.host == server_host) here.push_back(&listener);
      const ListenerPlan& listener = *here[rng.below(here.size())];
      talk.server_port = listener.port;
      talk.server.options = listener.options;  // inherited
      if (listener.close_at != Duration{} || listener.backlog < 8 || listener.accept_pause > 10ms)
        talk.must_finish = false;
    }
    if (!talk.simultaneous && rng.chance(percent(15))) talk.client_port = static_cast<uint16_t>(5000 + i);
    // A keep-alive may rightly take a long cut for the peer's death.
    const bool cut = std::ranges::any_of(scenario.links[talk.link].config.direction,
                                         [](const SimImpairments& way) { return !way.cuts.empty(); });
    if (cut && (talk.client.options.keepalive || talk.server.options.keepalive)) talk.must_finish = false;
    if (cut && talk.simultaneous) talk.must_finish = false;  // a SYN-RECEIVED gives up after a minute
    scenario.conversations.push_back(talk);
    // Anew only with initial sequence numbers that move on with the clock, as those of the field do.
    const bool fixed_isn = std::ranges::any_of(
        scenario.hosts, [](const HostPlan& host) { return host.config.tcp.isn_for_tests.has_value(); });
    const bool once = talk.client_port == 0 || talk.simultaneous || talk.nobody_there || fixed_isn;
    if (once || !rng.chance(percent(70))) continue;
    talk.again = static_cast<int32_t>(scenario.conversations.size()) - 1;
    talk.must_finish = false;  // the old one may stand in TIME-WAIT at the client
    scenario.conversations.push_back(talk);
  }
}

void draw_listeners(Rng& rng, Scenario& scenario) {
  for (size_t host = 0; host < scenario.hosts.size(); ++host) {
    ListenerPlan plain{.host = host, .port = 80};
    plain.options = draw_options(rng);
    scenario.listeners.push_back(plain);
    if (!rng.chance(percent(40))) continue;
    ListenerPlan odd{.host = host, .port = 81};
    odd.backlog = static_cast<uint32_t>(rng.between(0, 4));
    odd.accept_pause = between(rng, 0ms, 3s);
    if (rng.chance(percent(40))) odd.close_at = between(rng, 1ms, 10s);
    odd.options = draw_options(rng);
    scenario.listeners.push_back(odd);
  }
}

void draw_datagrams(Rng& rng, Scenario& scenario) {
  if (!rng.chance(percent(30))) return;
  const uint64_t streams = rng.between(1, 3);
  for (uint64_t i = 0; i < streams; ++i) {
    DatagramPlan stream;
    stream.link = rng.below(scenario.links.size());
    stream.sender_end = rng.below(2);
    stream.port = static_cast<uint16_t>(80 + i);  // the same numbers as TCP's, on purpose
    stream.nobody_there = rng.chance(percent(20));
    stream.connected = rng.chance(percent(50));
    stream.count = static_cast<uint32_t>(rng.between(1, 60));
    const uint32_t most = std::min<uint32_t>(scenario.links[stream.link].config.mtu - 28, 8000);
    stream.max_size = static_cast<uint32_t>(rng.between(16, most));
    stream.start = between(rng, 0ms, 5s);
    stream.interval = between(rng, 0ms, 100ms);
    scenario.datagrams.push_back(stream);
  }
}

}  // namespace

Scenario draw_plain_scenario(uint64_t seed) {
  const Rng root(seed);
  Scenario scenario;
  scenario.seed = seed;

  Rng topology = root.split("topology");
  const size_t hosts = pick(topology, {size_t{2}, size_t{2}, size_t{2}, size_t{3}, size_t{4}});
  for (size_t i = 0; i < hosts; ++i) scenario.hosts.push_back(draw_host(topology, i));
  for (size_t i = 1; i < hosts; ++i) {  // every host has a neighbor: a line or a star
    const size_t other = topology.below(i);
    scenario.links.push_back(draw_link(topology, scenario.links.size(), other, i));
  }
  if (topology.chance(percent(15))) scenario.links.push_back(draw_link(topology, scenario.links.size(), 0, 1));

  Rng work = root.split("work");
  draw_listeners(work, scenario);
  draw_conversations(work, scenario);
  draw_datagrams(work, scenario);
  Rng folding = root.split("folding");  // nobody notices: the hashes are those of networks without
  for (HostPlan& host : scenario.hosts) {
    host.config.tcp.whole_connections = pick(folding, {0U, 0U, 1U, 2U, 5U});
  }
  return scenario;
}

}  // namespace limpid::sim
