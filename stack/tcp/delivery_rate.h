// How fast the network delivers (draft-ietf-ccwg-bbr §4.1): each range is stamped when it is sent with what had been
// delivered until then; when it is delivered itself, the difference over the time between is a sample.
//
//   sent     |<--- send_elapsed --->|            the faster of the two only says that ACKs were compressed, or that
//   ACKed         |<----- ack_elapsed ----->|    the sender sent a burst: the slower one counts
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"
#include "stack/tcp/send_record.h"

namespace limpid {

struct RateSample {
  uint64_t rate = 0;             // bytes a second; 0: this ACK gives no sample
  uint64_t prior_delivered = 0;  // when the range was sent
  bool app_limited = false;      // a lower bound only: the application had sent too little

  explicit operator bool() const { return rate > 0; }
};

class DeliveryRate {
 public:
  // Before a range goes out.
  DeliveryStamp on_send(bool nothing_in_flight, Time now) {
    if (nothing_in_flight) first_sent_ = delivered_at_ = now;  // a new flight
    return {.delivered = delivered_,
            .delivered_at = delivered_at_,
            .first_sent = first_sent_,
            .app_limited = app_limited()};
  }
  // The application has nothing more to send, and neither window is full.
  void on_app_limited(uint32_t in_flight) { app_limited_until_ = std::max<uint64_t>(delivered_ + in_flight, 1); }
  // An ACK delivered so much; `newest` is the most recently sent range of it.
  RateSample on_ack(uint32_t newly_delivered, const SendRecord& newest, Duration min_rtt, Time now);
  // Without SACK a duplicate ACK tells that something was delivered, and not what: it counts, and gives no sample.
  void on_delivered(uint32_t newly_delivered, Time now);

  uint64_t delivered() const { return delivered_; }  // bytes, all together
  uint64_t rate() const { return rate_; }            // the last sample worth showing, bytes a second
  bool app_limited() const { return app_limited_until_ != 0; }
  bool sample_app_limited() const { return rate_app_limited_; }  // whether rate() is a lower bound

 private:
  uint64_t delivered_ = 0;
  Time delivered_at_{};
  Time first_sent_{};               // of the flight under way
  uint64_t app_limited_until_ = 0;  // until so much is delivered; 0: not so
  uint64_t rate_ = 0;
  bool rate_app_limited_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&DeliveryRate::delivered_, &DeliveryRate::delivered_at_, &DeliveryRate::first_sent_,
             &DeliveryRate::app_limited_until_, &DeliveryRate::rate_, &DeliveryRate::rate_app_limited_);
  }
};

}  // namespace limpid
