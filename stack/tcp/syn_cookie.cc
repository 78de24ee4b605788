#include "stack/tcp/syn_cookie.h"

#include <array>
#include <cstring>

#include "stack/base/bytes.h"

namespace limpid {
namespace {

// The least that we believe, and what is usual: dial-up, tunnels, PPPoE with options, PPPoE, Ethernet, jumbo frames.
constexpr std::array<uint16_t, 8> kMss = {48, 216, 536, 1220, 1300, 1440, 1460, 8960};

constexpr uint32_t kMacBits = 24;
constexpr uint32_t kMacMask = (1u << kMacBits) - 1;
constexpr uint32_t kMinutes = 32;

constexpr uint32_t kStampBits = 6;
constexpr uint32_t kStampMask = (1u << kStampBits) - 1;
constexpr uint32_t kScaleMask = 15, kNoScale = 15, kSack = 16, kEcn = 32;

int64_t minute_of(Time now) { return now.time_since_epoch() / std::chrono::minutes{1}; }

}  // namespace

uint32_t SynCookie::mac(const FourTuple& tuple, Seq irs, int64_t minute, uint32_t mss_index) const {
  std::array<std::byte, 52> message;
  const MutableByteSpan m(message);
  std::memcpy(message.data(), tuple.local.address.bytes().data(), 16);
  std::memcpy(message.data() + 16, tuple.remote.address.bytes().data(), 16);
  store16(m, 32, tuple.local.port);
  store16(m, 34, tuple.remote.port);
  store32(m, 36, irs.value);
  store32(m, 40, static_cast<uint32_t>(minute >> 32));
  store32(m, 44, static_cast<uint32_t>(minute));
  store32(m, 48, mss_index);
  return static_cast<uint32_t>(siphash(key_, message)) & kMacMask;
}

Seq SynCookie::make(const FourTuple& tuple, Seq irs, uint16_t& peer_mss, Time now) const {
  uint32_t index = 0;
  while (index + 1 < kMss.size() && kMss[index + 1] <= peer_mss) ++index;
  peer_mss = kMss[index];
  const int64_t minute = minute_of(now);
  const auto low = static_cast<uint32_t>(minute) % kMinutes;
  return {low << 27 | index << kMacBits | mac(tuple, irs, minute, index)};
}

std::optional<uint16_t> SynCookie::check(const FourTuple& tuple, Seq irs, Seq cookie, Time now) const {
  const int64_t minute = minute_of(now);
  const uint32_t age = (static_cast<uint32_t>(minute) - (cookie.value >> 27)) % kMinutes;
  const uint32_t index = cookie.value >> kMacBits & 7;
  if (age > 1 || mac(tuple, irs, minute - age, index) != (cookie.value & kMacMask)) return std::nullopt;
  return kMss[index];
}

uint32_t SynCookie::stamp(uint32_t clock, const Negotiated& agreed) {
  uint32_t bits = agreed.window_scaling ? agreed.send_shift : kNoScale;
  if (agreed.sack) bits |= kSack;
  if (agreed.ecn) bits |= kEcn;
  const uint32_t stamp = (clock & ~kStampMask) | bits;
  return bits > (clock & kStampMask) ? stamp - (kStampMask + 1) : stamp;  // never ahead of the clock
}

void SynCookie::read_stamp(uint32_t echo, Negotiated& agreed) {
  const uint32_t scale = echo & kScaleMask;
  agreed.timestamps = true;
  agreed.window_scaling = scale != kNoScale;
  agreed.send_shift = agreed.window_scaling ? static_cast<uint8_t>(scale) : uint8_t{0};
  agreed.sack = (echo & kSack) != 0;
  agreed.ecn = (echo & kEcn) != 0;
}

}  // namespace limpid
