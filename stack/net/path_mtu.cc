#include "stack/net/path_mtu.h"

#include <algorithm>
#include <array>

namespace limpid {

uint32_t plateau_below(uint32_t mtu) {
  constexpr std::array<uint32_t, 11> kPlateaus = {65'535, 32'000, 17'914, 8'166, 4'352, 2'002,
                                                  1'492,  1'006,  508,    296,   68};
  const auto lower = std::ranges::find_if(kPlateaus, [mtu](uint32_t plateau) { return plateau < mtu; });
  return lower != kPlateaus.end() ? *lower : kPlateaus.back();
}

size_t PathMtuCache::place_of(const IpAddress& destination) const {
  return siphash(key_, std::as_bytes(std::span(destination.bytes()))) % kPlaces;
}

PathMtu PathMtuCache::find(const IpAddress& destination, Time now) const {
  if (entries_.empty()) return {};
  const Entry& entry = entries_[place_of(destination)];
  return entry.destination == destination && now < entry.path.until ? entry.path : PathMtu{};
}

bool PathMtuCache::learn(const IpAddress& destination, uint32_t mtu, uint32_t link_mtu, Time now) {
  const uint32_t lowered = std::max(mtu, config_.least_path_mtu);
  if (lowered >= std::min(link_mtu, find(destination, now).mtu)) return false;
  if (entries_.empty()) entries_.resize(kPlaces);
  entries_[place_of(destination)] = {destination, {.mtu = lowered, .until = now + config_.path_mtu_expires}};
  ++version_;
  return true;
}

}  // namespace limpid
