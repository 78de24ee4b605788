#include "drivers/fault.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "stack/base/bytes.h"

namespace limpid {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr Duration kRetry = 1ms;  // after the device refused a frame that had waited here

std::vector<std::byte> copy_of(const TxFrame& frame) {
  std::vector<std::byte> bytes(frame.head.begin(), frame.head.end());
  for (ByteSpan piece : frame.body) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

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

FaultLane::Verdict FaultLane::admit(const TxFrame& frame, Time now) {
  ++counters.frames;
  if (swallows(frame)) return ++counters.swallowed, Verdict::gone;
  // Always the same draws in the same order: a change of one share does not move the fate that the others deal out.
  const bool lost = rng_.chance(plan_.loss_ppm);
  const bool corrupt = rng_.chance(plan_.corrupt_ppm);
  const bool duplicate = rng_.chance(plan_.duplicate_ppm);
  const bool reorder = rng_.chance(plan_.reorder_ppm);
  if (lost) return ++counters.lost, Verdict::gone;

  const bool slow = plan_.delay > Duration{} || plan_.rate > 0;
  if (!slow && !corrupt && !reorder) {
    if (duplicate) ++counters.duplicated;
    return duplicate ? Verdict::twice : Verdict::pass;
  }
  const Held copy{.bytes = copy_of(frame), .event = frame.event, .overtaken_by = 0, .until = now};
  if (!hold(copy, corrupt, reorder, now)) return ++counters.queue_full, Verdict::gone;
  if (duplicate && hold(copy, false, false, now)) ++counters.duplicated;
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

void FaultLane::passed() {
  for (Held& held : overtakable_)
    if (held.overtaken_by > 0) --held.overtaken_by;
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

Time FaultLane::next_deadline() const {
  Time next = timed_.empty() ? kNever : timed_.begin()->first;
  for (const Held& held : overtakable_) next = std::min(next, held.overtaken_by == 0 ? Time{} : held.until);
  return next;
}

FaultDevice::FaultDevice(Device& inner, const FaultPlan& plan, const Rng& rng)
    : inner_(inner),
      in_(plan.in, link_header_of(inner), rng.split("fault-in")),
      out_(plan.out, link_header_of(inner), rng.split("fault-out")) {}

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

size_t FaultDevice::receive_held(std::span<FrameRef> frames, Time now) {
  size_t filled = 0;
  while (filled < frames.size() && in_.due(now)) {
    const FaultLane::Held held = in_.take();
    const MutableByteSpan room = frames[filled]->writable();
    if (held.bytes.size() > room.size()) continue;
    std::memcpy(room.data(), held.bytes.data(), held.bytes.size());
    frames[filled]->length = static_cast<uint32_t>(held.bytes.size());
    ++filled;
    in_.passed();
  }
  return filled;
}

size_t FaultDevice::receive_fresh(std::span<FrameRef> frames, bool& more, Time now) {
  const size_t got = inner_.receive_batch(frames, now);
  more = got > 0;
  size_t kept = 0;
  for (size_t i = 0; i < got; ++i) {
    const TxFrame view{.head = frames[i]->bytes(), .body = {}, .event = 0};
    const FaultLane::Verdict verdict = in_.admit(view, now);
    if (verdict == FaultLane::Verdict::twice)
      in_.put_back({.bytes = copy_of(view), .event = 0, .overtaken_by = 0, .until = now});
    if (verdict == FaultLane::Verdict::gone || verdict == FaultLane::Verdict::waiting) {
      frames[i]->length = 0;
      continue;
    }
    if (kept != i) std::swap(frames[kept], frames[i]);
    ++kept;
    in_.passed();
  }
  return kept;
}

Transmit FaultDevice::transmit(const TxFrame& frame, Time now) {
  const std::lock_guard lock(out_mutex_);
  const FaultLane::Verdict verdict = out_.admit(frame, now);
  Transmit answer = Transmit::taken;
  if (verdict == FaultLane::Verdict::pass || verdict == FaultLane::Verdict::twice) {
    answer = inner_.transmit(frame, now);
    if (answer == Transmit::taken) {
      if (verdict == FaultLane::Verdict::twice) (void)inner_.transmit(frame, now);
      out_.passed();
    } else {  // it comes again, and its fate is drawn anew
      --out_.counters.frames;
      if (verdict == FaultLane::Verdict::twice) --out_.counters.duplicated;
    }
  }
  send_due(now);
  return answer;
}

void FaultDevice::send_due(Time now) {
  while (now >= blocked_until_ && out_.due(now)) {
    FaultLane::Held held = out_.take();
    const TxFrame frame{.head = held.bytes, .body = {}, .event = held.event};
    if (inner_.transmit(frame, now) == Transmit::refused) {
      blocked_until_ = now + kRetry;
      out_.put_back(std::move(held));
    } else {
      out_.passed();
    }
  }
}

Time FaultDevice::next_deadline() const {
  Time next = inner_.next_deadline();
  {
    const std::lock_guard lock(in_mutex_);
    next = std::min(next, in_.next_deadline());
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
