// Judges a stack by its wire alone: sees what each host was given and what it sends, knows nothing of its insides.
//
// Checked on every TCP segment that leaves: it parses and its checksums are right; it fits the MTU and the peer's MSS;
// options
// are those that both SYNs agreed on, timestamps on every segment then; it stays inside the window that the peer has
// opened (a probe may look one byte over the edge); it acknowledges only what has arrived, never less than before; and
// the window that it opens never moves back (RFC 9293 §3.8.6).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "drivers/device.h"
#include "stack/wire/tcp.h"

namespace limpid::sim {

class WireWatch {
 public:
  using Complain = std::function<void(const std::string&)>;
  explicit WireWatch(Complain complain);
  ~WireWatch();

  // A device in place of this one; lives as long as the watch.
  Device& wrap(size_t host, Device& end);

  uint64_t segments() const { return segments_; }

 private:
  class Tap;

  // What one host knows of one connection, from the wire.
  struct Flow {
    bool sent_syn = false, got_syn = false;
    uint32_t sent_isn = 0, got_isn = 0;
    uint32_t sent_end = 0;  // behind the highest sequence number sent
    uint32_t got_end = 0;   // behind the highest one that arrived
    uint32_t edge_in = 0;   // right edge of the window that the peer has opened
    uint32_t edge_out = 0;  // of the one that this host has opened
    uint32_t ack_out = 0;   // the highest acknowledgment sent
    bool acked = false;     // ack_out and edge_out are set
    bool got_ack = false;   // edge_in is set
    uint8_t shift_out = 0, shift_in = 0;
    bool offered_scale = false, got_scale = false;
    bool offered_stamps = false, got_stamps = false;
    bool offered_sack = false, got_sack = false;
    uint32_t peer_mss = 536;
    bool reset = false;       // a RST passed: a SYN begins anew, even with the same number
    bool awaits_syn = false;  // this host has opened anew: the peer's next SYN belongs to that
    TcpHeader late_syn;       // of other numbers than the connection's: it counts if this host answers it with SYN,ACK
    bool stamped() const { return offered_stamps && got_stamps; }
    bool scaled() const { return offered_scale && got_scale; }
  };
  struct Seen {  // one segment, decoded
    IpAddress source, destination;
    TcpHeader tcp;
    uint32_t text = 0;     // bytes
    uint32_t options = 0;  // bytes
    uint32_t seq_end = 0;  // SYN, text and FIN counted
  };

  bool decode(ByteSpan packet, Seen& seen, std::string& problem) const;
  static void adopt_syn(Flow& flow, const TcpHeader& syn);
  void sent(size_t host, ByteSpan packet, uint32_t mtu);
  void got(size_t host, ByteSpan packet);
  void check_acknowledgment(Flow& flow, const Seen& seen, const std::string& where);
  void check_options(const Flow& flow, const Seen& seen, const std::string& where);
  void check_sack(const Flow& flow, const TcpHeader& tcp, const std::string& where);
  void check_extent(const Flow& flow, const Seen& seen, const std::string& where);
  Flow& flow_of(size_t host, const IpAddress& local, uint16_t local_port, const IpAddress& remote,
                uint16_t remote_port);

  Complain complain_;
  std::vector<std::unique_ptr<Tap>> taps_;
  std::map<std::tuple<size_t, uint32_t, uint16_t, uint32_t, uint16_t>, Flow> flows_;
  uint64_t segments_ = 0;
};

}  // namespace limpid::sim
