#include "stack/tcp/listener.h"

#include <algorithm>

namespace limpid {

void ListenerTable::remove(const Endpoint& local, Handle<Listener> listener) {
  const auto at = by_port_.find(local.port);
  if (at == by_port_.end()) return;
  std::erase_if(at->second, [&](const Entry& e) { return e.listener == listener; });
  if (at->second.empty()) by_port_.erase(at);
}

Handle<Listener> ListenerTable::find(const FourTuple& tuple, const TupleHash& share) const {
  const Endpoint& local = tuple.local;
  const auto at = by_port_.find(local.port);
  if (at == by_port_.end()) return {};
  const std::vector<Entry>& entries = at->second;
  for (const IpAddress& wanted : {local.address, IpAddress{}}) {
    const auto matches = [&](const Entry& e) { return wanted.is_set() ? e.address == wanted : e.address.is_any(); };
    const auto sharing = std::ranges::count_if(entries, matches);
    if (sharing == 0) continue;
    auto left = sharing > 1 ? static_cast<std::ptrdiff_t>(share.hash(tuple) % static_cast<uint64_t>(sharing)) : 0;
    for (const Entry& e : entries)
      if (matches(e) && left-- == 0) return e.listener;
  }
  return {};
}

}  // namespace limpid
