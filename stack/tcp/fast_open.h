// TCP Fast Open (RFC 7413): text on the SYN, for those who were here before.
//
//   client                                    server
//     | SYN, asks for a cookie  ------------->  |   cookie = MAC of both addresses under our key
//     | <---------------------  SYN,ACK, cookie |
//     |  … another time …                       |
//     | SYN, cookie, text  ------------------>  |   the cookie is good: a connection at once, its text can be read
//     | <--------------  SYN,ACK of SYN and text |
//
// The server keeps nothing but its key. The client remembers a cookie for each server, and the MSS with it.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <utility>

#include "stack/config.h"
#include "stack/wire/address.h"
#include "stack/wire/tcp_options.h"

namespace limpid {

// RFC 7413 §4.1.2, computed as Linux does, so that servers behind one address may share a key.
FastOpenOption fast_open_cookie(const SipKey& key, const IpAddress& client, const IpAddress& server);

// What a client remembers of one server (RFC 7413 §4.1.3).
struct FastOpenMemory {
  std::optional<FastOpenOption> cookie;
  uint16_t mss = 0;          // that the server announced; 0: unknown
  uint8_t experimental = 0;  // 1: the next request uses the experimental kind; 2: it was tried in vain
};

// Bounded: the server that was longest not spoken to makes room.
class FastOpenCache {
 public:
  // Of the server, for this address of ours; null: nothing is known.
  const FastOpenMemory* find(const IpAddress& ours, const IpAddress& server);
  // Made if it is not there.
  FastOpenMemory& at(const IpAddress& ours, const IpAddress& server, uint32_t most);
  size_t size() const { return by_pair_.size(); }

 private:
  using Pair = std::pair<IpAddress, IpAddress>;
  struct Entry {
    Pair pair;
    FastOpenMemory memory;
  };
  std::list<Entry> entries_;  // the last one asked for first
  std::map<Pair, std::list<Entry>::iterator> by_pair_;
};

// A client's attempt, from its OPEN until the SYN,ACK has come.
struct FastOpenAttempt {
  std::optional<FastOpenOption> option;  // of our SYN
  uint32_t text = 0;                     // octets that the SYN carried
  uint32_t most_text = 0;                // that it may carry
  bool held = false;                     // the SYN waits for the first SEND
  bool bare = false;                     // it was too large for the path: it goes again without text
  bool refused = false;                  // the server did not take all of the text
};

}  // namespace limpid
