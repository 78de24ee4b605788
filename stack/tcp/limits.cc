#include "stack/tcp/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <span>
#include <vector>

namespace limpid {
namespace {

struct SendLimitInfo {
  std::string_view name;
  std::string_view words;
};

constexpr std::array<SendLimitInfo, kSendLimits> kSendLimitInfo = {{
#define X(limit, name, words) {name, words},
    LIMPID_SEND_LIMITS(X)
#undef X
}};

constexpr std::array<std::string_view, kReceiveLimits> kReceiveLimitNames = {"rcv_wait", "rcv_app", "rcv_hole"};
constexpr std::array<std::string_view, kReceiveLimits> kReceiveLimitWords = {"the peer", "the application to read",
                                                                             "a hole in what arrived"};

Duration total(std::span<const Duration> times) { return std::accumulate(times.begin(), times.end(), Duration{}); }

struct Share {
  std::string_view words;
  Duration time;
};

std::string in_words(std::string_view begin, std::string_view word, std::vector<Share> shares) {
  std::ranges::sort(shares, std::ranges::greater{}, &Share::time);
  Duration all{};
  for (const Share& s : shares) all += s.time;
  if (all <= Duration{}) return {};
  std::string text(begin);
  bool first = true;
  for (const Share& s : shares) {
    const auto percent = (100 * to_us(s.time) + to_us(all) / 2) / std::max<int64_t>(to_us(all), 1);
    if (!first && percent < 1) break;
    fmt::format_to(std::back_inserter(text), "{} {} {} {} %", first ? "" : ",", word, s.words, percent);
    if (first) fmt::format_to(std::back_inserter(text), " of {}.{:03} s", to_ms(all) / 1000, to_ms(all) % 1000);
    first = false;
  }
  return text;
}

}  // namespace

std::string_view name(SendLimit limit) { return kSendLimitInfo[static_cast<size_t>(limit)].name; }
std::string_view name(ReceiveLimit limit) { return kReceiveLimitNames[static_cast<size_t>(limit)]; }

Duration LimitTimes::by_peer_window(Time now) const {
  return spent(SendLimit::rwnd, now) + spent(SendLimit::zero_window, now) + spent(SendLimit::sws, now);
}

Duration LimitTimes::busy(Time now) const {
  return total(sent) + (now - sending_since) - spent(SendLimit::handshake, now) - spent(SendLimit::app_idle, now) -
         spent(SendLimit::closing, now);
}

std::string sending_in_words(const LimitTimes& times, Time now) {
  std::vector<Share> shares;
  for (size_t i = 0; i < kSendLimits; ++i)
    shares.push_back({kSendLimitInfo[i].words, times.spent(static_cast<SendLimit>(i), now)});
  return in_words("limited", "by", std::move(shares));
}

std::string receiving_in_words(const LimitTimes& times, Time now) {
  std::vector<Share> shares;
  for (size_t i = 0; i < kReceiveLimits; ++i)
    shares.push_back({kReceiveLimitWords[i], times.spent(static_cast<ReceiveLimit>(i), now)});
  return in_words("receiving waited", "for", std::move(shares));
}

void LimitAccount::charge(SendLimit limit, Duration time) {
  if (time == Duration{}) return;
  if (limit == SendLimit::handshake) {
    handshake_ += time;
  } else {
    sums().sent[static_cast<size_t>(limit)] += time;
  }
}

void LimitAccount::send(SendLimit limit, Time now) {
  if (limit == sending_) return;
  charge(sending_, now - sending_since_);
  sending_ = limit;
  sending_since_ = now;
}

void LimitAccount::receive(ReceiveLimit limit, Time now) {
  if (limit == receiving_) return;
  if (now != receiving_since_) sums().received[static_cast<size_t>(receiving_)] += now - receiving_since_;
  receiving_ = limit;
  receiving_since_ = now;
}

Duration LimitAccount::charge_late(SendLimit to, Duration late, Time now) {
  const Duration all = now - sending_since_;
  late = std::clamp(late, Duration{}, all);
  if (late == Duration{}) return late;
  charge(sending_, all - late);
  charge(to, late);
  sending_since_ = now;
  return late;
}

LimitTimes LimitAccount::times() const {
  LimitTimes t;
  if (sums_) {
    t.sent = sums_->sent;
    t.received = sums_->received;
  }
  t.sent[static_cast<size_t>(SendLimit::handshake)] = handshake_;
  t.sending = sending_;
  t.receiving = receiving_;
  t.sending_since = sending_since_;
  t.receiving_since = receiving_since_;
  return t;
}

Duration LimitAccount::sum_of_sending(Time now) const {
  return handshake_ + (sums_ ? total(sums_->sent) : Duration{}) + (now - sending_since_);
}

Duration LimitAccount::sum_of_receiving(Time now) const {
  return (sums_ ? total(sums_->received) : Duration{}) + (now - receiving_since_);
}

}  // namespace limpid
