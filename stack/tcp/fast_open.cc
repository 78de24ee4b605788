#include "stack/tcp/fast_open.h"

#include <algorithm>
#include <span>

namespace limpid {

FastOpenOption fast_open_cookie(const SipKey& key, const IpAddress& client, const IpAddress& server) {
  const size_t each = client.is_v4() ? 4 : 16;
  std::array<uint8_t, 32> message{};
  std::copy_n(client.bytes().begin(), each, message.begin());
  std::copy_n(server.bytes().begin(), each, message.begin() + static_cast<std::ptrdiff_t>(each));
  const uint64_t mac = siphash(key, std::as_bytes(std::span(message).first(2 * each)));
  FastOpenOption option;
  option.length = 8;
  for (size_t i = 0; i < 8; ++i) option.cookie[i] = static_cast<uint8_t>(mac >> (8 * i));
  return option;
}

const FastOpenMemory* FastOpenCache::find(const IpAddress& ours, const IpAddress& server) {
  const auto found = by_pair_.find({ours, server});
  if (found == by_pair_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &found->second->memory;
}

FastOpenMemory& FastOpenCache::at(const IpAddress& ours, const IpAddress& server, uint32_t most) {
  if (find(ours, server) != nullptr) return entries_.front().memory;
  while (!entries_.empty() && by_pair_.size() >= std::max(most, 1u)) {
    by_pair_.erase(entries_.back().pair);
    entries_.pop_back();
  }
  entries_.push_front({.pair = {ours, server}, .memory = {}});
  by_pair_[entries_.front().pair] = entries_.begin();
  return entries_.front().memory;
}

}  // namespace limpid
