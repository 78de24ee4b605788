// A scenario in words: what a failure prints.
#include <fmt/format.h>

#include <array>

#include "tests/sim/scenario.h"

namespace limpid::sim {

namespace {

std::string_view name(Farewell farewell) {
  switch (farewell) {
    case Farewell::graceful:
      return "graceful";
    case Farewell::close:
      return "close";
    case Farewell::stop_reading:
      return "stop-reading";
    case Farewell::abort:
      return "abort";
    case Farewell::linger_reset:
      return "linger-reset";
    case Farewell::close_unread:
      return "close-unread";
  }
  return "?";
}

std::string describe(const SimImpairments& way) {
  std::string text = fmt::format("{}us", to_us(way.delay));
  if (way.jitter > Duration{}) text += fmt::format(" jitter {}us", to_us(way.jitter));
  if (way.rate != 0) {
    text += fmt::format(" {}kbit/s queue {} frames {} bytes{}", way.rate / 1000, way.queue_frames, way.queue_bytes,
                        way.refuse_when_full ? " refusing" : "");
  }
  if (way.loss_ppm != 0) text += fmt::format(" loss {}ppm", way.loss_ppm);
  for (uint64_t index : way.lose) text += fmt::format(" lose#{}", index);
  if (way.reorder_ppm != 0) text += fmt::format(" reorder {}ppm by {}us", way.reorder_ppm, to_us(way.reorder_delay));
  if (way.duplicate_ppm != 0) text += fmt::format(" duplicate {}ppm", way.duplicate_ppm);
  if (way.corrupt_ppm != 0) text += fmt::format(" corrupt {}ppm", way.corrupt_ppm);
  for (const SimCut& cut : way.cuts) {
    text += fmt::format(" cut {}ms..{}", to_ms(cut.from.time_since_epoch()),
                        cut.to == kNever ? "ever" : fmt::format("{}ms", to_ms(cut.to.time_since_epoch())));
  }
  return text;
}

std::string describe(const CallPlan& call) {
  static constexpr std::array<const char*, kCallKinds> kNames = {
      "no-delay", "cork", "quick-ack", "keep-alive", "sndbuf", "rcvbuf", "congestion", "more", "urgent"};
  const auto choice = static_cast<CongestionChoice>(call.value);
  const std::string value = call.kind == CallKind::congestion ? std::string(name(choice)) : std::to_string(call.value);
  return fmt::format("{} {} at {}", kNames[static_cast<size_t>(call.kind)], value, call.at);
}

std::string describe(const TalkerPlan& talker) {
  std::string text = fmt::format("{} bytes by {}, reads {}, {}", talker.bytes, talker.write_chunk, talker.read_chunk,
                                 name(talker.farewell));
  if (talker.write_pause > Duration{}) text += fmt::format(", writes every {}us", to_us(talker.write_pause));
  if (talker.read_pause > Duration{}) text += fmt::format(", reads every {}us", to_us(talker.read_pause));
  if (talker.read_after > Duration{}) text += fmt::format(", reads after {}ms", to_ms(talker.read_after));
  if (talker.farewell != Farewell::graceful && talker.farewell != Farewell::close)
    text += fmt::format(" after {}", talker.abort_after);
  const TcpOptions& o = talker.options;
  if (o.receive_buffer != 0) text += fmt::format(", rcvbuf {}", o.receive_buffer);
  if (o.send_buffer != 0) text += fmt::format(", sndbuf {}", o.send_buffer);
  if (o.max_segment != 0) text += fmt::format(", mss {}", o.max_segment);
  if (o.no_delay) text += ", no-delay";
  if (o.cork) text += ", cork";
  if (!o.quick_ack) text += ", no quick-ack";
  if (talker.peeks) text += ", peeks";
  if (talker.in_place) text += ", in place";
  if (talker.tails_wait) text += ", tails wait";
  if (talker.changes_options) text += ", changes options";
  if (o.keepalive) text += fmt::format(", keep-alive {}ms", to_ms(o.keepalive_time));
  if (o.congestion != CongestionChoice::unset) text += fmt::format(", {}", name(o.congestion));
  for (const CallPlan& call : talker.calls) text += "; " + describe(call);
  return text;
}

}  // namespace

std::string describe(const Scenario& scenario) {
  std::string text = fmt::format("seed {}\n", scenario.seed);
  for (const HostPlan& host : scenario.hosts) {
    const TcpConfig& tcp = host.config.tcp;
    text += fmt::format(
        "  host {}: msl {}ms, delayed ACK {}ms, {}, ECN {}, IW {}{}{}{}{}{}{}{}{}{}\n", host.name, to_ms(tcp.msl),
        to_ms(tcp.delayed_ack), name(tcp.congestion), name(tcp.ecn), tcp.initial_window_segments,
        tcp.offer_window_scale ? "" : ", no window scale", tcp.offer_timestamps ? "" : ", no timestamps",
        tcp.offer_sack ? "" : ", no SACK", tcp.send_dsack ? "" : ", no D-SACK",
        tcp.quick_acks == 0 ? ", no quick ACKs" : "", host.config.ip.cut_bursts ? ", cuts bursts" : "",
        host.config.ip.merge_segments ? ", merges segments" : "",
        tcp.isn_for_tests ? fmt::format(", ISN {:#x}", *tcp.isn_for_tests) : "",
        tcp.whole_connections == UINT32_MAX ? "" : fmt::format(", folds all but {}", tcp.whole_connections));
  }
  for (size_t i = 0; i < scenario.links.size(); ++i) {
    const LinkPlan& link = scenario.links[i];
    text += fmt::format("  link {}: {} {} - {} {}, mtu {}{}{}\n    -> {}{}\n    <- {}{}\n", i,
                        scenario.hosts[link.hosts[0]].name, link.addresses[0].to_string(),
                        scenario.hosts[link.hosts[1]].name, link.addresses[1].to_string(), link.config.mtu,
                        link.config.ethernet ? ", Ethernet" : "", link.config.offloads ? ", super-segments" : "",
                        describe(link.config.direction[0]), describe(link.middleboxes[0]),
                        describe(link.config.direction[1]), describe(link.middleboxes[1]));
  }
  for (const ListenerPlan& listener : scenario.listeners) {
    text +=
        fmt::format("  listener {}:{} backlog {}, accepts every {}ms, closes {}\n", scenario.hosts[listener.host].name,
                    listener.port, listener.backlog, to_ms(listener.accept_pause),
                    listener.close_at == Duration{} ? "last" : fmt::format("at {}ms", to_ms(listener.close_at)));
  }
  for (size_t i = 0; i < scenario.conversations.size(); ++i) {
    const ConversationPlan& talk = scenario.conversations[i];
    if (talk.absent) continue;
    text +=
        fmt::format("  conversation {}: link {} end {}, port {}, at {}ms{}{}{}{}{}\n    client {}\n    server {}\n", i,
                    talk.link, talk.client_end, talk.server_port, to_ms(talk.start),
                    talk.simultaneous ? ", simultaneous" : "", talk.nobody_there ? ", nobody there" : "",
                    talk.to_itself ? ", to itself" : "", talk.again >= 0 ? fmt::format(", again {}", talk.again) : "",
                    talk.must_finish ? ", must finish" : "", describe(talk.client), describe(talk.server));
  }
  for (const DatagramPlan& stream : scenario.datagrams) {
    text += fmt::format("  datagrams: link {} end {} port {}, {} of up to {} bytes{}{}\n", stream.link,
                        stream.sender_end, stream.port, stream.count, stream.max_size,
                        stream.nobody_there ? ", nobody there" : "", stream.connected ? ", connected" : "");
  }
  return text;
}

}  // namespace limpid::sim
