#include "drivers/fault.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "stack/base/bytes.h"
#include "stack/wire/super_segment.h"

namespace limpid {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr Duration kRetry = 1ms;  // after the device refused a frame that had waited here

FaultLane::Held copy_of(const TxFrame& frame, Time until) {
  FaultLane::Held held;
  held.bytes.reserve(frame.size());
  held.bytes.assign(frame.head.begin(), frame.head.end());
  for (ByteSpan piece : frame.body) held.bytes.insert(held.bytes.end(), piece.begin(), piece.end());
  held.head = frame.head.size();
  held.offload = frame.offload;
  held.event = frame.event;
  held.until = until;
  return held;
}

uint32_t packets_of(const TxFrame& frame) {
  if (frame.offload.segment_text == 0) return 1;
  return frame.offload.packets(static_cast<uint32_t>(frame.size() - frame.head.size()));
}

// A frame that lies in one piece, as one on its way out: its headers apart from its text. `text` is where the latter
// is written down. A super-segment that is none (the stack will drop it) is taken for one packet.
TxFrame apart(const Frame& frame, size_t link_header, ByteSpan& text) {
  TxFrame out{.head = frame.bytes(), .body = {}, .event = 0, .offload = frame.offload};
  size_t head = std::min(frame.bytes().size(), SuperSegment::kLargestHead);
  if (const auto begin = super_segment_text(frame.bytes(), link_header, frame.offload)) {
    head = *begin;
  } else if (frame.offload.segment_text > 0) {
    return out;
  }
  text = out.head.subspan(head);
  out.head = out.head.first(head);
  if (!text.empty()) out.body = {&text, 1};
  return out;
}

bool all_go_on(const std::vector<FaultLane::Fate>& fates) {
  return std::ranges::all_of(fates, [](const FaultLane::Fate& fate) { return fate.none(); });
}

// The packets of a frame, one by one where something befalls them, together where nothing does.
class Pieces {
 public:
  Pieces(const TxFrame& frame, size_t link_header, const std::vector<FaultLane::Fate>& fates)
      : frame_(frame),
        fates_(fates),
        cut_(frame.head, link_header, frame.body, frame.offload),
        whole_(!frame.offload.checksum_open) {}

  bool next() {
    first_ += packets_;
    if (first_ >= fates_.size()) return false;
    const auto from = fates_.begin() + static_cast<std::ptrdiff_t>(first_);
    const auto harmed = std::ranges::find_if_not(from, fates_.end(), &FaultLane::Fate::none);
    packets_ = std::max<size_t>(1, static_cast<size_t>(harmed - from));
    if (!whole_ && !cut_.next(static_cast<uint32_t>(packets_))) {  // it contradicts itself: harmed as it is
      whole_ = true;
      packets_ = fates_.size();
    }
    return true;
  }
  const FaultLane::Fate& fate() const { return fates_[first_]; }
  uint32_t packets() const { return static_cast<uint32_t>(packets_); }
  TxFrame piece() const {
    if (whole_) return frame_;
    return {.head = cut_.head(), .body = cut_.body(), .event = frame_.event, .offload = cut_.offload()};
  }

 private:
  const TxFrame& frame_;
  const std::vector<FaultLane::Fate>& fates_;
  SuperSegment cut_;
  bool whole_;
  size_t first_ = 0;
  size_t packets_ = 0;
};

constexpr size_t kHeaders = kEthernetHeader + 60 + 4;  // to the ports, behind the longest IP header

// The first bytes in one piece. A frame that waited for its neighbor has its link header apart from the rest.
ByteSpan beginning_of(const TxFrame& frame, MutableByteSpan into) {
  size_t length = 0;
  const auto append = [&](ByteSpan piece) {
    const size_t n = std::min(piece.size(), into.size() - length);
    std::copy_n(piece.begin(), n, into.begin() + static_cast<ptrdiff_t>(length));
    length += n;
  };
  append(frame.head);
  for (ByteSpan piece : frame.body) append(piece);
  return into.first(length);
}

size_t link_header_of(const Device& device) { return device.capabilities().ethernet ? kEthernetHeader : 0; }

}  // namespace

FaultLane::FaultLane(const FaultDirection& plan, size_t link_header, Rng rng)
    : plan_(plan), link_header_(link_header), rng_(rng) {}

bool FaultLane::swallows(const TxFrame& frame) const {
  if (plan_.swallow.empty()) return false;
  std::array<std::byte, kHeaders> headers;
  const ByteSpan bytes = beginning_of(frame, headers);
  if (bytes.size() < link_header_ + 20) return false;
  if (link_header_ > 0 && load16(bytes, 12) != 0x0800) return false;
  const ByteSpan ip = bytes.subspan(link_header_);
  if (load8(ip, 0) >> 4 != 4) return false;
  const size_t header = size_t{load8(ip, 0)} % 16 * 4;
  const uint8_t protocol = load8(ip, 9);
  return std::ranges::any_of(plan_.swallow, [&](const FaultDirection::Swallow& s) {
    if (protocol != static_cast<uint8_t>(s.protocol)) return false;
    return s.protocol == IpProtocol::icmp || (ip.size() >= header + 4 && load16(ip, header + 2) == s.port);
  });
}

void FaultLane::draw(const TxFrame& frame, std::vector<Fate>& fates) {
  const bool swallowed = swallows(frame);
  const bool slow = plan_.delay > Duration{} || plan_.rate > 0;
  fates.assign(packets_of(frame), {.swallowed = swallowed, .slow = slow});
  counters.frames += fates.size();
  if (swallowed) return;
  for (Fate& fate : fates) {
    // Always the same draws in the same order: a change of one share does not move the fate that the others deal out.
    fate.lost = rng_.chance(plan_.loss_ppm);
    fate.corrupt = rng_.chance(plan_.corrupt_ppm);
    fate.duplicate = rng_.chance(plan_.duplicate_ppm);
    fate.reorder = rng_.chance(plan_.reorder_ppm);
  }
}

void FaultLane::undraw(const std::vector<Fate>& fates) { counters.frames -= fates.size(); }

FaultLane::Verdict FaultLane::suffer(const TxFrame& packet, const Fate& fate, Time now) {
  if (fate.swallowed) return ++counters.swallowed, Verdict::gone;
  if (fate.lost) return ++counters.lost, Verdict::gone;
  if (!fate.slow && !fate.corrupt && !fate.reorder) {
    if (fate.duplicate) ++counters.duplicated;
    return fate.duplicate ? Verdict::twice : Verdict::pass;
  }
  const Held copy = copy_of(packet, now);
  if (!hold(copy, fate.corrupt, fate.reorder, now)) return ++counters.queue_full, Verdict::gone;
  if (fate.duplicate && hold(copy, false, false, now)) ++counters.duplicated;
  return Verdict::waiting;
}

bool FaultLane::hold(Held held, bool corrupt, bool reorder, Time now) {
  if (timed_.size() + overtakable_.size() >= kMaxWaiting) return false;
  if (plan_.rate > 0) {
    const auto bits = static_cast<int64_t>(held.bytes.size() * 8);
    const auto rate = static_cast<int64_t>(plan_.rate);
    rate_free_ = std::max(rate_free_, now);
    const int64_t waiting_bytes = (rate_free_ - now).count() / 1000 * rate / 8'000'000;
    if (waiting_bytes + bits / 8 > plan_.queue_bytes && waiting_bytes > 0) return false;
    rate_free_ += Duration(bits * 1'000'000'000 / rate);
    held.until = rate_free_;
  }
  held.until += plan_.delay;
  if (held.until > now) ++counters.delayed;
  if (corrupt && held.bytes.size() > link_header_) {
    const uint64_t bit = rng_.below((held.bytes.size() - link_header_) * 8);
    held.bytes[link_header_ + bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
    held.offload.checksum_known = false;
    ++counters.corrupted;
  }
  if (reorder) {
    ++counters.reordered;
    held.until += plan_.reorder_time;
    held.overtaken_by = plan_.reorder_by;
    overtakable_.push_back(std::move(held));
  } else {
    timed_.emplace(held.until, std::move(held));
  }
  return true;
}

void FaultLane::passed(uint32_t packets) {
  for (Held& held : overtakable_) held.overtaken_by -= std::min(held.overtaken_by, packets);
}

bool FaultLane::due(Time now) {
  // What was overtaken often enough, or waited long enough, joins those whose time has come.
  for (auto it = overtakable_.begin(); it != overtakable_.end();) {
    if (it->overtaken_by > 0 && it->until > now) {
      ++it;
      continue;
    }
    it->until = std::min(it->until, now);
    timed_.emplace(it->until, std::move(*it));
    it = overtakable_.erase(it);
  }
  return !timed_.empty() && timed_.begin()->first <= now;
}

FaultLane::Held FaultLane::take() {
  Held held = std::move(timed_.begin()->second);
  timed_.erase(timed_.begin());
  return held;
}

void FaultLane::put_back(Held held) {
  const Time until = held.until;
  timed_.emplace_hint(timed_.lower_bound(until), until, std::move(held));
}

void FaultLane::put_last(Held held) { timed_.emplace(held.until, std::move(held)); }

Time FaultLane::next_deadline() const {
  Time next = timed_.empty() ? kNever : timed_.begin()->first;
  for (const Held& held : overtakable_) next = std::min(next, held.overtaken_by == 0 ? Time{} : held.until);
  return next;
}

FaultDevice::FaultDevice(Device& inner, const FaultPlan& plan, const Rng& rng)
    : inner_(inner),
      link_header_(link_header_of(inner)),
      in_(plan.in, link_header_, rng.split("fault-in")),
      out_(plan.out, link_header_, rng.split("fault-out")) {}

// --- in ---

size_t FaultDevice::receive_batch(std::span<FrameRef> frames, Time now) {
  const std::lock_guard lock(in_mutex_);
  size_t filled = receive_held(frames, now);
  bool more = true;  // a batch of which nothing is left must not look like an empty device
  while (more && filled < frames.size()) {
    filled += receive_fresh(frames.subspan(filled), more, now);
    filled += receive_held(frames.subspan(filled), now);
    if (filled > 0) break;
  }
  return filled;
}

// What waits for a frame of its own, then what waits no longer.
size_t FaultDevice::receive_held(std::span<FrameRef> frames, Time now) {
  size_t filled = 0;
  while (filled < frames.size()) {
    if (arrived_.empty()) {
      if (!in_.due(now)) break;
      arrived_.push_back(in_.take());
    }
    const FaultLane::Held held = std::move(arrived_.front());
    arrived_.pop_front();
    Frame& frame = *frames[filled];
    const MutableByteSpan room = frame.writable();
    if (held.bytes.size() > room.size()) continue;
    std::memcpy(room.data(), held.bytes.data(), held.bytes.size());
    frame.length = static_cast<uint32_t>(held.bytes.size());
    frame.offload = held.offload;
    ++filled;
    in_.passed(held.packets());
  }
  return filled;
}

// A frame to which nothing happens stays where it is, unless others have to go before it.
size_t FaultDevice::receive_fresh(std::span<FrameRef> frames, bool& more, Time now) {
  const size_t got = inner_.receive_batch(frames, now);
  more = got > 0;
  size_t kept = 0;
  for (size_t i = 0; i < got; ++i) {
    ByteSpan text;
    const TxFrame frame = apart(*frames[i], link_header_, text);
    in_.draw(frame, fates_in_);
    if (arrived_.empty() && all_go_on(fates_in_)) {
      if (kept != i) std::swap(frames[kept], frames[i]);
      ++kept;
      in_.passed(static_cast<uint32_t>(fates_in_.size()));
    } else {
      receive_apart(frame, now);
      frames[i]->length = 0;
    }
  }
  return kept;
}

void FaultDevice::receive_apart(const TxFrame& frame, Time now) {
  for (Pieces pieces(frame, link_header_, fates_in_); pieces.next();) {
    const TxFrame piece = pieces.piece();
    FaultLane::Verdict verdict = FaultLane::Verdict::pass;
    if (!pieces.fate().none()) verdict = in_.suffer(piece, pieces.fate(), now);
    if (verdict == FaultLane::Verdict::twice) arrived_.push_back(copy_of(piece, now));
    if (verdict == FaultLane::Verdict::twice || verdict == FaultLane::Verdict::pass)
      arrived_.push_back(copy_of(piece, now));
    if (verdict == FaultLane::Verdict::waiting)
      while (in_.due(now)) arrived_.push_back(in_.take());
  }
}

// --- out ---

Transmit FaultDevice::transmit(const TxFrame& frame, Time now) {
  const std::lock_guard lock(out_mutex_);
  refused_ = blocked_ && !send_held(now);  // what the device did not take goes first
  if (refused_) return Transmit::refused;
  out_.draw(frame, fates_out_);
  Transmit answer = Transmit::taken;
  if (!all_go_on(fates_out_)) {
    answer = transmit_apart(frame, now);
  } else if (answer = inner_.transmit(frame, now); answer == Transmit::taken) {
    out_.passed(static_cast<uint32_t>(fates_out_.size()));
  }
  refused_ = answer == Transmit::refused;
  if (refused_) out_.undraw(fates_out_);
  send_due(now);
  return answer;
}

// Refused is the whole of it or nothing: once something has happened to it, what the device does not take waits here.
Transmit FaultDevice::transmit_apart(const TxFrame& frame, Time now) {
  bool begun = false;
  for (Pieces pieces(frame, link_header_, fates_out_); pieces.next(); begun = true) {
    const TxFrame piece = pieces.piece();
    FaultLane::Verdict verdict = FaultLane::Verdict::pass;
    if (!pieces.fate().none()) verdict = out_.suffer(piece, pieces.fate(), now);
    if (verdict == FaultLane::Verdict::waiting) send_due(now);
    if (verdict == FaultLane::Verdict::waiting || verdict == FaultLane::Verdict::gone) continue;
    const bool twice = verdict == FaultLane::Verdict::twice;
    if (!blocked_ && inner_.transmit(piece, now) == Transmit::taken) {
      out_.passed(pieces.packets());
      if (twice) (void)inner_.transmit(piece, now);
      continue;
    }
    if (!begun) {
      if (twice) --out_.counters.duplicated;
      return Transmit::refused;
    }
    block(now);
    out_.put_last(copy_of(piece, now));
  }
  return Transmit::taken;
}

void FaultDevice::block(Time now) {
  blocked_ = true;
  blocked_until_ = now + kRetry;
}

void FaultDevice::send_due(Time now) {
  if (now >= blocked_until_) (void)send_held(now);
}

// False: the device refused.
bool FaultDevice::send_held(Time now) {
  while (out_.due(now)) {
    FaultLane::Held held = out_.take();
    const ByteSpan bytes(held.bytes);
    const ByteSpan text = bytes.subspan(held.head);
    const TxFrame frame{.head = bytes.first(held.head),
                        .body = std::span(&text, text.empty() ? 0 : 1),
                        .event = held.event,
                        .offload = held.offload};
    if (inner_.transmit(frame, now) == Transmit::refused) {
      block(now);
      out_.put_back(std::move(held));
      return false;
    }
    out_.passed(held.packets());
  }
  blocked_ = false;
  return true;
}

Time FaultDevice::next_deadline() const {
  Time next = inner_.next_deadline();
  {
    const std::lock_guard lock(in_mutex_);
    next = std::min(next, arrived_.empty() ? in_.next_deadline() : Time{});
  }
  const std::lock_guard lock(out_mutex_);
  const Time out = out_.next_deadline();
  return std::min(next, out == kNever ? kNever : std::max(out, blocked_until_));
}

void FaultDevice::advance(Time now) {
  inner_.advance(now);
  const std::lock_guard lock(out_mutex_);
  send_due(now);
}

FaultCounters FaultDevice::counters_in() const {
  const std::lock_guard lock(in_mutex_);
  return in_.counters;
}

FaultCounters FaultDevice::counters_out() const {
  const std::lock_guard lock(out_mutex_);
  return out_.counters;
}

}  // namespace limpid
