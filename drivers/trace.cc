#include "drivers/trace.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "stack/base/counters.h"
#include "stack/base/trace_text.h"

namespace limpid {
namespace {

using Kind = DialogueLine::Kind;

constexpr uint32_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10, kUrg = 0x20;

// Positions of the words that tcp_packet_sent, _received and _dropped share (event_kinds.h).
enum Word : size_t { kSeq, kAckNumber, kLength, kFlags, kWindow, kState, kAgain, kSourcePort, kDestinationPort };
constexpr size_t kDroppedReason = 4;

// Changes of state that the application or a timer asked for, even if a segment came at the same moment.
bool from_above(Rule rule) {
  switch (rule) {
    case Rule::tcp_active_open:
    case Rule::tcp_close:
    case Rule::tcp_abort:
    case Rule::tcp_unread_data:
    case Rule::tcp_listener_closed:
    case Rule::tcp_orphan_timeout:
    case Rule::tcp_time_wait_over:
      return true;
    default:
      return false;
  }
}

// The segments of a transfer that goes well, and the duplicate ACKs and held text of one that does not, may be folded.
bool foldable(const Event& e) {
  if ((e.words[kFlags] & (kSyn | kFin | kRst | kUrg)) != 0 || e.words[kWindow] == 0) return false;
  if (e.kind == EventKind::tcp_packet_received) return true;
  return e.words[kAgain] == 0 && e.rule != Rule::tcp_zero_window_probe && e.rule != Rule::tcp_keepalive_probe;
}

// Segments that go with a change of state, when the application opens, closes or aborts.
bool opens_or_ends(const Event& segment) { return (segment.words[kFlags] & (kSyn | kFin | kRst)) != 0; }

std::string_view reason_text(uint32_t reason) { return reason < kCounterCount ? kCounterInfo[reason].text : "?"; }

bool is_sent(EventKind kind) {
  return kind == EventKind::arp_sent || kind == EventKind::icmp_sent || kind == EventKind::udp_sent;
}

}  // namespace

Dialogue::Dialogue(LogLine out, const DialogueOptions& options) : printer_(std::move(out), options) {}

Dialogue::~Dialogue() { finish(); }

TraceSink& Dialogue::host(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return hosts_.emplace_back(*this, printer_.add_host(name));
}

void Dialogue::finish() {
  const std::lock_guard lock(mutex_);
  end_draft();
  end_state_change();
  printer_.finish();
}

void Dialogue::on_event(size_t host, const Event& e) {
  const std::lock_guard lock(mutex_);
  switch (e.kind) {
    case EventKind::tcp_packet_sent:
    case EventKind::tcp_packet_received:
      return on_segment(host, e);
    case EventKind::tcp_packet_dropped:
      return on_segment_dropped(host, e);
    case EventKind::tcp_state_updated:
      return on_state_change(host, e);
    case EventKind::recovery_packet_lost:
      return on_loss(host, e);
    case EventKind::recovery_metrics_updated:
      return on_metrics(host, e);
    case EventKind::tcp_timer_expired:
      return on_timer(host, e);
    case EventKind::tcp_packets_acked:
    case EventKind::tcp_reassembly_updated:
    case EventKind::tcp_window_updated:
    case EventKind::tcp_options_negotiated:
      return explain(host, e);
    case EventKind::link_frame_out:
      if (e.words[3] != 0 && draft_ && draft_->line.kind == Kind::sent) draft_->line.mark = "refused by the device";
      return;
    case EventKind::tcp_connection_closed:
      if (e.words[1] != 0) note(host, e, fmt::format("the connection ended: {}", error_text(e.words[1])));
      return;
    case EventKind::tcp_invariant_failed:
      return note(host, e, "an invariant does not hold: a bug of ours");
    case EventKind::recovery_spurious_loss:
      return note(host, e, "the loss was none: it came after all");
    case EventKind::clock_frozen:
    case EventKind::clock_stall:
      return note(host, e, fmt::format("{} ms of the world's time passed", e.words[0]));
    case EventKind::arp_sent:
    case EventKind::arp_received:
    case EventKind::icmp_sent:
    case EventKind::icmp_received:
    case EventKind::udp_sent:
    case EventKind::udp_received:
    case EventKind::link_dropped:
    case EventKind::arp_dropped:
    case EventKind::ip_dropped:
    case EventKind::icmp_dropped:
    case EventKind::udp_dropped:
      return on_other_packet(host, e);
    default:
      return;
  }
}

// --- segments
// ----------------------------------------------------------------------------------------------------------

std::string Dialogue::segment_text(const Event& e, uint32_t window) {
  const uint32_t flags = e.words[kFlags];
  const uint32_t seq = e.words[kSeq];
  const uint32_t length = e.words[kLength];
  std::string text = fmt::format("{} {}", tcp_flags_text(flags), seq);
  if (length > 0) text += fmt::format(":{} ({})", seq + length, length);
  if ((flags & kAck) != 0) text += fmt::format(" ack {}", e.words[kAckNumber]);
  if (window != UINT32_MAX) text += fmt::format(" win {}", window);
  // Both directions of a connection have the same sum of ports.
  const uint32_t ports = e.words[kSourcePort] + e.words[kDestinationPort] + 1;
  if ((flags & kSyn) != 0 || ports != ports_shown_)
    text += fmt::format(" {}>{}", e.words[kSourcePort], e.words[kDestinationPort]);
  ports_shown_ = ports;
  return text;
}

void Dialogue::on_segment(size_t host, const Event& e) {
  const bool sent = e.kind == EventKind::tcp_packet_sent;
  // A segment that makes a connection of a half-open one is announced by both.
  if (!sent && about_draft(host, e, Kind::received) && std::equal(e.words, e.words + kWindow, draft_->event.words))
    return;
  DialogueLine line{.kind = sent ? Kind::sent : Kind::received};
  line.what = segment_text(e, e.words[kWindow]);
  line.state = tcp_state_text(e.words[kState]);
  line.ordinary = foldable(e);
  line.again = sent && e.words[kAgain] != 0;
  if (line.again) line.what += " again";
  line.text = e.words[kLength] > 0;
  line.from = e.words[kSeq];
  line.to = line.text ? line.from + e.words[kLength] : e.words[kAckNumber];

  uint32_t& next = next_[{host, e.connection}];  // the position up to which all has arrived
  if (sent) next = e.words[kAckNumber];

  end_draft();
  // The state changed because of what is sent here: one line says both.
  if (change_ && sent && opens_or_ends(e) && change_->host == host && change_->event.connection == e.connection &&
      change_->event.time == e.time) {
    line.state =
        fmt::format("{} -> {}", tcp_state_text(change_->event.words[0]), tcp_state_text(change_->event.words[1]));
    line.ordinary = false;
    change_.reset();
  }
  begin(host, e, std::move(line));
  if (sent || !draft_->line.text) return;
  const uint32_t end = e.words[kSeq] + e.words[kLength];
  if (end - next > UINT32_MAX / 2 || end == next) draft_->line.why = Rule::tcp_text_duplicate;
  if (e.words[kSeq] != next) return;
  draft_->line.why = Rule::tcp_text;
  next = end;
}

void Dialogue::on_segment_dropped(size_t host, const Event& e) {
  if (!about_draft(host, e, Kind::received)) {  // it belongs to no connection, so nobody announced it
    Event segment = e;  // its last words lie one place further on than those of a segment that was taken
    std::copy_n(e.words + kDroppedReason + 1, 1, segment.words + kState);
    std::copy_n(e.words + kDroppedReason + 2, 2, segment.words + kSourcePort);
    DialogueLine line{.kind = Kind::received};
    line.what = segment_text(segment, UINT32_MAX);
    line.state = tcp_state_text(segment.words[kState]);
    begin(host, e, std::move(line));
  }
  draft_->line.mark = fmt::format("dropped: {}", reason_text(e.words[kDroppedReason]));
  draft_->line.why = e.rule;
  draft_->line.ordinary = false;
}

void Dialogue::on_state_change(size_t host, const Event& e) {
  const bool of_received = about_draft(host, e, Kind::received) && !from_above(e.rule);
  const bool of_sent = about_draft(host, e, Kind::sent) && opens_or_ends(draft_->event);
  if (!of_received && !of_sent) {
    end_draft();
    end_state_change();
    change_ = StateChange{host, e};
    return;
  }
  DialogueLine& line = draft_->line;
  const bool goes_on = line.state.ends_with(tcp_state_text(e.words[0]));
  line.state = goes_on ? fmt::format("{} -> {}", line.state, tcp_state_text(e.words[1]))
                       : fmt::format("{} -> {}", tcp_state_text(e.words[0]), tcp_state_text(e.words[1]));
  line.ordinary = false;
  if (of_received) line.why = e.rule;
}

// What was decided about the segment that arrived says more than that it arrived.
void Dialogue::explain(size_t host, const Event& e) {
  if (!about_draft(host, e, Kind::received)) return;
  DialogueLine& line = draft_->line;
  if (e.kind == EventKind::tcp_options_negotiated) {
    line.more = fmt::format("MSS {}, window scale {} for ours, {} for theirs", e.words[0], e.words[1], e.words[2]);
    return;
  }
  if (line.why == Rule::tcp_arrived || e.kind == EventKind::tcp_reassembly_updated) line.why = e.rule;
}

// --- recovery and timers
// -----------------------------------------------------------------------------------------------

void Dialogue::on_loss(size_t host, const Event& e) {
  // After the line of the segment that told of it.
  const bool third_duplicate = about_draft(host, e, Kind::received) && draft_->line.why == Rule::tcp_arrived;
  if (third_duplicate) draft_->line.why = Rule::tcp_ack_duplicate;
  note(host, e, fmt::format("presumed lost: {}:{}", e.words[0], e.words[0] + e.words[1]));
}

void Dialogue::on_metrics(size_t host, const Event& e) {
  if (e.rule == Rule::tcp_recovered) note(host, e, "recovery is over");
  if (e.rule == Rule::tcp_idle_restart) note(host, e, "the window starts anew");
  if (!about_draft(host, e, Kind::note)) {
    if (e.rule == Rule::tcp_ack_duplicate || e.rule == Rule::tcp_prr) explain(host, e);
    return;
  }
  if (!draft_->line.more.empty()) return;
  draft_->line.more = fmt::format("cwnd {}, in flight {}", e.words[0], e.words[1]);
  if (e.words[2] != UINT32_MAX) draft_->line.more += fmt::format(", ssthresh {}", e.words[2]);
}

void Dialogue::on_timer(size_t host, const Event& e) {
  const std::string_view timer = timer_text(e.words[0]);
  if (timer == "delack") return;  // the ACK that follows says so itself
  note(host, e, fmt::format("the {} timer expired", timer));
}

// --- links and the other protocols
// -------------------------------------------------------------------------------------

void Dialogue::on_link_event(const Event& e) {
  const std::lock_guard lock(mutex_);
  std::string mark;
  switch (e.kind) {
    case EventKind::sim_lost:
      mark = "lost";
      break;
    case EventKind::sim_queue_full:
      mark = "lost: queue full";
      break;
    case EventKind::sim_duplicated:
      mark = "duplicated";
      break;
    case EventKind::sim_corrupted:
      mark = "corrupted";
      break;
    case EventKind::sim_reordered:
      mark = "held back";
      break;
    default:
      return;
  }
  // The link decides while the sender still holds the frame, so it is the last one sent.
  if (draft_ && draft_->line.kind == Kind::sent && static_cast<uint32_t>(draft_->event.number) == e.cause) {
    draft_->line.mark = mark;
    draft_->line.ordinary = false;
    return;
  }
  note(0, e, fmt::format("{} bytes on the link: {}", e.words[0], mark));
}

void Dialogue::on_other_packet(size_t host, const Event& e) {
  const std::string_view name = kEventKindInfo[static_cast<size_t>(e.kind)].name;
  DialogueLine line{.kind = is_sent(e.kind) ? Kind::sent : Kind::received};
  line.what = std::string(name.substr(0, name.find(':')));
  for (const EventField& f : fields_of(e)) {
    if (f.format == "reason")
      line.mark = "dropped: " + f.text;
    else if (f.format == "addr")
      line.what += " " + f.text;
    else if (f.format != "iface")
      line.what += fmt::format(" {} {}", f.name, f.text);
  }
  begin(host, e, std::move(line));
}

// --- the line that is held back
// ----------------------------------------------------------------------------------------

bool Dialogue::about_draft(size_t host, const Event& e, DialogueLine::Kind kind) const {
  if (!draft_ || draft_->line.kind != kind || draft_->line.host != host || draft_->event.time != e.time) return false;
  // What a listener's segment leads to belongs to a connection that did not exist when it arrived.
  const bool same_input = kind == Kind::received && e.cause != 0 && e.cause == draft_->event.cause;
  return draft_->event.connection == e.connection || same_input;
}

void Dialogue::note(size_t host, const Event& e, std::string text) {
  DialogueLine line{.kind = Kind::note};
  line.what = std::move(text);
  begin(host, e, std::move(line));
}

void Dialogue::begin(size_t host, const Event& e, DialogueLine line) {
  end_draft();
  end_state_change();
  line.host = host;
  line.time = e.time;
  line.why = e.rule;
  draft_ = Draft{std::move(line), e};
}

void Dialogue::end_draft() {
  if (!draft_) return;
  printer_.add(std::move(draft_->line));
  draft_.reset();
}

void Dialogue::end_state_change() {
  if (!change_) return;
  const Event& e = change_->event;
  DialogueLine line{.kind = Kind::note, .time = e.time, .host = change_->host};
  line.state = fmt::format("{} -> {}", tcp_state_text(e.words[0]), tcp_state_text(e.words[1]));
  line.why = e.rule;
  printer_.add(std::move(line));
  change_.reset();
}

LogLine lines_to(std::FILE* stream) {
  return [stream](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stream);
    std::fputc('\n', stream);
    std::fflush(stream);
  };
}

DialogueOptions dialogue_options_for(std::FILE* stream) {
  const bool colour = ::isatty(::fileno(stream)) == 1 && std::getenv("NO_COLOR") == nullptr;
  return {.colour = colour};
}

}  // namespace limpid
