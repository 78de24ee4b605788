#include "stack/udp/udp_demux.h"

#include <array>

#include "stack/base/bytes.h"

namespace limpid {
namespace {

// "Any" has two spellings, unset and 0.0.0.0; as a key it has one.
FourTuple normal(FourTuple key) {
  if (key.local.address.is_any()) key.local.address = {};
  return key;
}

}  // namespace

size_t UdpDemux::Hasher::operator()(const FourTuple& tuple) const {
  std::array<std::byte, 36> bytes;
  std::memcpy(bytes.data(), tuple.local.address.bytes().data(), 16);
  std::memcpy(bytes.data() + 16, tuple.remote.address.bytes().data(), 16);
  store16(bytes, 32, tuple.local.port);
  store16(bytes, 34, tuple.remote.port);
  return siphash(key, bytes);
}

void UdpDemux::add(const FourTuple& key, uint32_t socket, bool shares) {
  Group& g = groups_[normal(key)];
  (shares ? g.shared : g.single).push_back(socket);
}

void UdpDemux::remove(const FourTuple& key, uint32_t socket) {
  const auto found = groups_.find(normal(key));
  if (found == groups_.end()) return;
  std::erase(found->second.shared, socket);
  std::erase(found->second.single, socket);
  if (found->second.shared.empty() && found->second.single.empty()) groups_.erase(found);
}

const UdpDemux::Group* UdpDemux::group(const FourTuple& key) const {
  const auto found = groups_.find(key);
  return found == groups_.end() ? nullptr : &found->second;
}

uint32_t UdpDemux::pick(const Group& g, const FourTuple& datagram) const {
  return g.shared.empty() ? g.single.back() : g.shared[hasher_(datagram) % g.shared.size()];
}

std::optional<uint32_t> UdpDemux::find(const FourTuple& datagram) const {
  const uint16_t port = datagram.local.port;
  const FourTuple keys[] = {
      datagram, {.local = datagram.local, .remote = {}}, {.local = {.address = {}, .port = port}, .remote = {}}};
  for (const FourTuple& key : keys)
    if (const Group* g = group(key)) return pick(*g, datagram);
  return std::nullopt;
}

std::vector<uint32_t> UdpDemux::find_all(const FourTuple& datagram) const {
  const uint16_t port = datagram.local.port;
  const FourTuple keys[] = {
      datagram, {.local = datagram.local, .remote = {}}, {.local = {.address = {}, .port = port}, .remote = {}}};
  std::vector<uint32_t> all;
  for (const FourTuple& key : keys) {
    const Group* g = group(key);
    if (g == nullptr) continue;
    all.insert(all.end(), g->single.begin(), g->single.end());
    all.insert(all.end(), g->shared.begin(), g->shared.end());
  }
  return all;
}

}  // namespace limpid
