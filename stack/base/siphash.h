// SipHash-2-4 (Aumasson, Bernstein 2012): the keyed hash behind the demux, initial sequence numbers and ephemeral
// ports. Keyed, so that a flood cannot aim at one bucket and an outsider cannot compute our next ISN (RFC 6528 §3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace limpid {

struct SipKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
};

// The key as sixteen octets, in the byte order that SipHash is defined in.
SipKey sip_key(std::span<const std::byte, 16> octets);

uint64_t siphash(const SipKey& key, std::span<const std::byte> message);

}  // namespace limpid
