#include "stack/tcp/delivery_rate.h"

namespace limpid {

void DeliveryRate::on_delivered(uint32_t newly_delivered, Time now) {
  delivered_ += newly_delivered;
  delivered_at_ = now;
  if (delivered_ > app_limited_until_) app_limited_until_ = 0;
}

RateSample DeliveryRate::on_ack(uint32_t newly_delivered, const SendRecord& newest, Duration min_rtt, Time now) {
  on_delivered(newly_delivered, now);
  first_sent_ = newest.sent;

  const DeliveryStamp& then = newest.stamp;
  const Duration interval = std::max(newest.sent - then.first_sent, now - then.delivered_at);
  // Shorter than any round trip: such an ACK was not for this transmission.
  if (interval <= Duration{} || interval < min_rtt) return {};
  const uint64_t bytes = delivered_ - then.delivered;
  const auto nanoseconds = static_cast<uint64_t>(interval.count());
  const RateSample sample{.rate = bytes * 1'000'000 / std::max<uint64_t>(nanoseconds / 1000, 1),
                          .prior_delivered = then.delivered,
                          .app_limited = then.app_limited};
  // As Linux shows it: a lower bound does not hide a better figure.
  if (!sample.app_limited || sample.rate >= rate_) {
    rate_ = sample.rate;
    rate_app_limited_ = sample.app_limited;
  }
  return sample;
}

}  // namespace limpid
