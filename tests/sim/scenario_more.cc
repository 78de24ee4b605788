// What the networks of the hash table lack: socket calls in the middle of a conversation, other ways to take leave,
// loans, an algorithm for each end, and middleboxes.
#include <algorithm>

#include "stack/base/rng.h"
#include "tests/sim/scenario.h"

namespace limpid::sim {
namespace {

uint32_t percent(uint32_t p) { return p * 10'000; }

template <class T, size_t N>
T pick(Rng& rng, const T (&choices)[N]) {
  return choices[rng.below(N)];
}

CongestionChoice draw_congestion(Rng& rng) {
  return static_cast<CongestionChoice>(rng.between(1, kCongestionNames.size() - 1));
}

MiddleboxPlan draw_middlebox(Rng& rng) {
  MiddleboxPlan box;
  box.strip_window_scale = rng.chance(percent(20));
  box.strip_timestamps = rng.chance(percent(20));
  box.strip_sack = rng.chance(percent(20));
  if (rng.chance(percent(30))) box.clamp_mss = pick(rng, {uint16_t{536}, uint16_t{1000}, uint16_t{1400}});
  box.refuse_ecn = rng.chance(percent(20));
  box.bleach_ecn = rng.chance(percent(20));
  if (rng.chance(percent(40))) box.mark_ppm = static_cast<uint32_t>(rng.below(percent(20)));
  return box;
}

uint32_t draw_value(Rng& rng, CallKind kind) {
  switch (kind) {
    case CallKind::send_buffer:
    case CallKind::receive_buffer:
      return pick(rng, {256U, 1000U, 4096U, 20'000U, 100'000U, 1U << 20});
    case CallKind::congestion:
      return static_cast<uint32_t>(draw_congestion(rng));
    default:
      return static_cast<uint32_t>(rng.below(2));
  }
}

void draw_calls(Rng& rng, TalkerPlan& talker, uint64_t both) {
  const uint64_t count = rng.chance(percent(30)) ? 0 : rng.below(12);
  for (uint64_t i = 0; i < count; ++i) {
    const auto kind = static_cast<CallKind>(rng.below(kCallKinds));
    const uint64_t at = rng.below(both + 1);
    talker.calls.push_back({.at = at, .kind = kind, .value = draw_value(rng, kind)});
  }
  // By time, those of one time in the order they were drawn in.
  for (auto c = talker.calls.begin(); c != talker.calls.end(); ++c)
    std::rotate(std::ranges::upper_bound(talker.calls.begin(), c, c->at, {}, &CallPlan::at), c, c + 1);
}

void draw_leave(Rng& rng, TalkerPlan& talker) {
  const uint64_t leave = rng.below(100);
  if (leave < 5) talker.farewell = Farewell::linger_reset;
  if (leave >= 5 && leave < 12) talker.farewell = Farewell::close_unread;
}

bool keeps_the_stream(const TalkerPlan& talker) {
  return talker.farewell != Farewell::linger_reset && talker.farewell != Farewell::close_unread;
}

// Window scaling taken off a SYN,ACK leaves two ends that read each other's windows differently: nothing is promised
// there but that every octet that arrives is right.
bool windows_agree(const ConversationPlan& talk, const LinkPlan& link) {
  if (talk.to_itself) return true;
  const bool client_strips = talk.simultaneous && link.middleboxes[talk.client_end].strip_window_scale;
  return !client_strips && !link.middleboxes[1 - talk.client_end].strip_window_scale;
}

}  // namespace

Scenario draw_scenario(uint64_t seed) {
  Scenario scenario = draw_plain_scenario(seed);
  Rng rng = Rng(seed).split("more");
  for (LinkPlan& link : scenario.links)
    for (MiddleboxPlan& box : link.middleboxes)
      if (rng.chance(percent(25))) box = draw_middlebox(rng);
  Rng offloads = rng.split("offloads");
  for (LinkPlan& link : scenario.links) link.config.offloads = offloads.chance(percent(50));
  Rng pieces = rng.split("pieces");
  for (HostPlan& host : scenario.hosts) {
    host.config.ip.cut_bursts = pieces.chance(percent(50));
    host.config.ip.merge_segments = pieces.chance(percent(50));
  }
  Rng in_place = rng.split("in place");
  for (ConversationPlan& talk : scenario.conversations)
    for (TalkerPlan* talker : {&talk.client, &talk.server}) talker->in_place = in_place.chance(percent(30));
  Rng tails = rng.split("tails");
  for (ConversationPlan& talk : scenario.conversations)
    for (TalkerPlan* talker : {&talk.client, &talk.server}) talker->tails_wait = tails.chance(percent(50));
  for (HostPlan& host : scenario.hosts) host.config.tcp.congestion = draw_congestion(rng);
  // Urgent octets stay in the stream, so that it can be compared.
  for (ListenerPlan& listener : scenario.listeners) listener.options.urgent_inline = true;
  for (ConversationPlan& talk : scenario.conversations) {
    for (TalkerPlan* talker : {&talk.client, &talk.server}) {
      talker->options.urgent_inline = true;
      if (rng.chance(percent(50))) talker->options.congestion = draw_congestion(rng);
      draw_calls(rng, *talker, talk.client.bytes + talk.server.bytes);
      draw_leave(rng, *talker);
    }
    talk.must_finish = talk.must_finish && keeps_the_stream(talk.client) && keeps_the_stream(talk.server) &&
                       windows_agree(talk, scenario.links[talk.link]);
  }
  return scenario;
}

}  // namespace limpid::sim
