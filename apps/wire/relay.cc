#include "apps/wire/relay.h"

#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>

#include "apps/wire/capture.h"

namespace limpid::wire {
namespace {

Duration monotonic() { return std::chrono::steady_clock::now().time_since_epoch(); }

timespec to_timespec(Duration d) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(d);
  return {.tv_sec = static_cast<time_t>(whole.count()), .tv_nsec = static_cast<long>((d - whole).count())};
}

uint32_t longest(const Device& left, const Device& right) {
  return std::max(left.capabilities().mtu, right.capabilities().mtu);
}

}  // namespace

void Lateness::add(Duration late) {
  ++deliveries_;
  total_ += late;
  most_ = std::max(most_, late);
  const auto magnitude = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(to_us(late))));
  ++by_magnitude_[std::min(magnitude, by_magnitude_.size() - 1)];
}

Duration Lateness::bound_of(uint32_t per_mille) const {
  uint64_t seen = 0;
  for (size_t n = 0; n < by_magnitude_.size(); ++n) {
    seen += by_magnitude_[n];
    if (seen * 1000 >= deliveries_ * per_mille) return std::chrono::microseconds(int64_t{1} << n);
  }
  return most_;
}

Relay::Relay(SimLink& link, Device& left, Device& right, Capture* capture)
    : link_(link),
      devices_{&left, &right},
      capture_(capture),
      pool_(uint64_t{64} << 20),
      frames_(kBatch),
      outgoing_(pool_.make(longest(left, right))),
      started_(monotonic()) {
  for (FrameRef& frame : frames_) frame = pool_.make(longest(left, right));
}

Time Relay::clock() const { return Time(monotonic() - started_); }
Duration Relay::elapsed() const { return monotonic() - started_; }

Time Relay::next_due() const { return std::min(link_.end(0).next_deadline(), link_.end(1).next_deadline()); }

void Relay::run(int until) {
  std::array<pollfd, 3> fds{};
  fds[0] = {.fd = devices_[0]->descriptor(), .events = POLLIN, .revents = 0};
  fds[1] = {.fd = devices_[1]->descriptor(), .events = POLLIN, .revents = 0};
  fds[2] = {.fd = until, .events = POLLIN, .revents = 0};
  while (fds[2].revents == 0) {
    turn(clock());
    const Time due = next_due();
    const timespec wait = due == kNever ? timespec{} : to_timespec(std::max(due - clock(), Duration{}));
    if (ppoll(fds.data(), fds.size(), due == kNever ? nullptr : &wait, nullptr) < 0) fds[2].revents = 0;  // a signal
  }
}

void Relay::turn(Time now) {
  take_in(0, now);
  take_in(1, now);
  deliver(0, now);
  deliver(1, now);
}

// What the kernel of this side sent.
void Relay::take_in(size_t side, Time now) {
  const size_t got = devices_[side]->receive_batch(frames_, now);
  for (size_t i = 0; i < got; ++i) {
    const TxFrame frame{.head = frames_[i]->bytes(), .body = {}, .event = 0};
    if (capture_ != nullptr) capture_->enters(side);
    (void)link_.end(side).transmit(frame, now);  // a full queue drops here, and says so to its observers
    if (capture_ != nullptr) capture_->entered(frames_[i]->bytes(), now);
    frames_[i]->length = 0;
  }
}

void Relay::deliver(size_t side, Time now) {
  Device& end = link_.end(side);
  for (Time due = end.next_deadline(); due <= now; due = end.next_deadline()) {
    outgoing_->length = 0;
    if (end.receive_batch({&outgoing_, 1}, now) == 0) return;
    lateness_.add(now - due);
    const TxFrame frame{.head = outgoing_->bytes(), .body = {}, .event = 0};
    if (devices_[side]->transmit(frame, now) == Transmit::refused) ++refused_;
  }
}

}  // namespace limpid::wire
