#include "drivers/pcapng.h"

#include <algorithm>
#include <utility>

#include "stack/base/trace_text.h"
#include "stack/wire/ethernet.h"

namespace limpid {
namespace {

enum class Role : uint8_t {
  frame_in,
  packet_sent,  // named by a TxFrame: becomes its comment
  decision,     // about the frame that came in: becomes its comment
  milestone,    // of interest by itself: a journal entry, and in the comment
  detail,       // too many, or said by the packets themselves
};

Role role_of(EventKind kind) {
  switch (kind) {
    case EventKind::link_frame_in:
      return Role::frame_in;
    case EventKind::arp_sent:
    case EventKind::icmp_sent:
    case EventKind::udp_sent:
    case EventKind::tcp_packet_sent:
      return Role::packet_sent;
    case EventKind::link_dropped:
    case EventKind::arp_received:
    case EventKind::arp_dropped:
    case EventKind::ip_dropped:
    case EventKind::icmp_received:
    case EventKind::icmp_dropped:
    case EventKind::udp_received:
    case EventKind::udp_dropped:
    case EventKind::tcp_packet_received:
    case EventKind::tcp_packet_dropped:
    case EventKind::tcp_packets_acked:
    case EventKind::tcp_reassembly_updated:
    case EventKind::tcp_ack_scheduled:
      return Role::decision;
    case EventKind::link_frame_out:
    case EventKind::tcp_window_updated:
    case EventKind::tcp_timer_set:
    case EventKind::tcp_timer_cancelled:
    case EventKind::tcp_limit_updated:
    case EventKind::recovery_metrics_updated:
    case EventKind::session_checkpoint:
    case EventKind::sim_delayed:
      return Role::detail;
    default:
      return Role::milestone;
  }
}

}  // namespace

PcapngDevice::PcapngDevice(Device& inner, PcapngWriter& writer, const PcapngCapture& capture)
    : inner_(inner),
      writer_(writer),
      capture_(capture),
      link_header_(inner.capabilities().ethernet ? EthernetHeader::kSize : 0) {
  const Capabilities c = inner.capabilities();
  const std::lock_guard lock(writer_.mutex());
  writer_.add_holder(this);
  interface_ =
      writer_.add_interface(capture_.host.empty() ? c.name : capture_.host + ":" + c.name, capture_.host, c.ethernet);
}

PcapngDevice::~PcapngDevice() {
  const std::lock_guard lock(writer_.mutex());
  write_taken();
  for (const Arrived& frame : arrived_) write_arrived(frame, 0, {});
  writer_.flush();
  writer_.remove_holder(this);
}

size_t PcapngDevice::receive_batch(std::span<FrameRef> frames, Time now) {
  const size_t n = inner_.receive_batch(frames, now);
  if (n == 0) return 0;
  const std::lock_guard lock(writer_.mutex());
  for (size_t i = 0; i < n; ++i) {
    const ByteSpan bytes = frames[i]->bytes();
    const ByteSpan kept = bytes.first(writer_.kept(bytes.size()));
    arrived_.push_back({now, static_cast<uint32_t>(bytes.size()), {kept.begin(), kept.end()}});
    if (arrived_.size() <= kMaxWaiting) continue;
    write_arrived(arrived_.front(), 0, {});  // nobody listens to the stack, it seems: then without comments
    arrived_.pop_front();
  }
  return n;
}

Transmit PcapngDevice::transmit(const TxFrame& frame, Time now) {
  const Transmit answer = inner_.transmit(frame, now);
  if (answer == Transmit::refused) return answer;

  const size_t size = frame.size();
  std::vector<std::byte> kept;
  kept.reserve(writer_.kept(size));
  const auto keep = [&](ByteSpan piece) {
    const ByteSpan part = piece.first(std::min(piece.size(), writer_.kept(size) - kept.size()));
    kept.insert(kept.end(), part.begin(), part.end());
  };
  keep(frame.head);
  for (ByteSpan piece : frame.body) keep(piece);

  const std::lock_guard lock(writer_.mutex());
  write_taken();  // what came in before stands before it in the file
  writer_.write_held(now);
  const Event& sender = sent_[frame.event % kRemembered];
  const bool known = frame.event != 0 && sender.number == frame.event;
  writer_.packet({.interface = interface_,
                  .time = now,
                  .inbound = false,
                  .bytes = kept,
                  .length = static_cast<uint32_t>(size),
                  .event = frame.event,
                  .comment = known ? describe(sender) : std::string()});
  return answer;
}

void PcapngDevice::event(const Event& e) {
  const std::lock_guard lock(writer_.mutex());
  const Role role = role_of(e.kind);
  if (role == Role::frame_in) return frame_taken(e);
  if (role == Role::packet_sent) {
    sent_[e.number % kRemembered] = e;
    return;
  }
  if (role == Role::detail) return;
  const bool about_taken = taken_ && e.time == taken_->time && e.cause == static_cast<uint32_t>(taken_->number);
  if (!about_taken) {
    write_taken();
    if (role == Role::milestone) write_journal(e);
    return;
  }
  if (!taken_->comment.empty()) taken_->comment += "; ";
  taken_->comment += describe(e);
  if (role == Role::milestone) taken_->journal.push_back(e);
}

namespace {

// Whether two TCP segments are of one flow, and the second begins where the first ends. They may be cut behind their
// headers.
bool goes_on(ByteSpan a, ByteSpan b, size_t link_header) {
  constexpr size_t kIp = 20, kTcp = 20;
  if (std::min(a.size(), b.size()) < link_header + kIp + kTcp) return false;
  a = a.subspan(link_header);
  b = b.subspan(link_header);
  if (load8(a, 0) != 0x45 || load8(b, 0) != 0x45 || load8(a, 9) != 6 || load8(b, 9) != 6) return false;
  if (!std::ranges::equal(a.subspan(12, 12), b.subspan(12, 12))) return false;  // addresses, ports
  const size_t headers = kIp + size_t{load8(a, kIp + 12)} / 16 * 4;
  const size_t length = load16(a, 2);
  if (length <= headers) return false;
  return load32(b, kIp + 4) == load32(a, kIp + 4) + static_cast<uint32_t>(length - headers);
}

}  // namespace

bool PcapngDevice::belongs_to_us(const Event& frame_in) const {
  const auto interface = static_cast<int>(frame_in.words[0]);
  return capture_.interface < 0 ? interface != 0 : interface == capture_.interface;
}

void PcapngDevice::frame_taken(const Event& frame_in) {
  // What is read as one with the next packet (net/merge.h) is told of there.
  const auto next = std::ranges::find(arrived_, frame_in.words[1], &Arrived::length);
  if (taken_ && taken_->comment.empty() && next != arrived_.end() &&
      goes_on(taken_->frame.bytes, next->bytes, link_header_))
    taken_->comment = "read as one with the next packet";
  write_taken();
  if (!belongs_to_us(frame_in)) return;
  // First in, first out; a frame of another length was never taken, for want of memory or at the end of the session.
  while (!arrived_.empty()) {
    Arrived frame = std::move(arrived_.front());
    arrived_.pop_front();
    if (frame.length == frame_in.words[1]) {
      taken_ = Taken{.frame = std::move(frame), .number = frame_in.number, .time = frame_in.time};
      return;
    }
    write_arrived(frame, 0, {});
  }
}

void PcapngDevice::write_arrived(const Arrived& frame, EventNumber number, std::string_view comment) {
  writer_.packet({.interface = interface_,
                  .time = frame.time,
                  .inbound = true,
                  .bytes = frame.bytes,
                  .length = frame.length,
                  .event = number,
                  .comment = comment});
}

void PcapngDevice::write_taken() {
  if (!taken_) return;
  const Taken taken = std::move(*taken_);
  taken_.reset();  // first: what others hold is written now, and they ask us too
  writer_.write_held(taken.time);
  write_arrived(taken.frame, taken.number, taken.comment);
  for (const Event& e : taken.journal) write_journal(e);
}

void PcapngDevice::write_held(Time before) {
  if (taken_ && taken_->time < before) write_taken();
}

void PcapngDevice::write_journal(const Event& e) {
  if (!capture_.journal) return;
  writer_.write_held(e.time);
  writer_.journal(capture_.host, e);
}

}  // namespace limpid
