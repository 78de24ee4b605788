// What one seed stands for: a topology, what befalls its links, and what the applications do. Plain data, drawn at
// once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/sim_link.h"
#include "stack/config.h"
#include "stack/stack.h"
#include "tests/sim/middlebox.h"

namespace limpid::sim {

struct HostPlan {
  std::string name;
  Config config;
};

struct LinkPlan {
  size_t hosts[2] = {};
  IpAddress addresses[2];
  SimLinkConfig config;
  MiddleboxPlan middleboxes[2];  // of what each end sends
};

// How an application takes leave of a connection.
enum class Farewell : uint8_t {
  graceful,      // shutdown of the sending direction when all is written, reads to the end, then close
  close,         // close as soon as all is written, whatever the peer still sends
  stop_reading,  // shutdown of the receiving direction halfway, then as graceful
  abort,         // abort in the middle
  linger_reset,  // SO_LINGER of zero seconds, and close in the middle: a RST
  close_unread,  // reads no further than the middle, and closes with the rest unread
};

// Something that an application does besides writing and reading, when so many bytes have passed.
enum class CallKind : uint8_t {
  no_delay,
  cork,
  quick_ack,
  keepalive,
  send_buffer,
  receive_buffer,
  congestion,
  more,    // the next write promises more
  urgent,  // the next write is one urgent octet
};
inline constexpr size_t kCallKinds = 9;

struct CallPlan {
  uint64_t at = 0;  // bytes written and read
  CallKind kind = CallKind::more;
  uint32_t value = 0;  // on or off, bytes, or which algorithm
};

// One end of a conversation.
struct TalkerPlan {
  uint64_t bytes = 0;  // to write
  uint32_t write_chunk = 4096;
  Duration write_pause{};  // after each chunk
  uint32_t read_chunk = 4096;
  Duration read_pause{};  // after each read: a slow reader
  Duration read_after{};  // does not read at all until so long after the start: a zero window
  Farewell farewell = Farewell::graceful;
  uint64_t abort_after = 0;      // bytes written and read
  bool peeks = false;            // looks at bytes before it takes them
  bool changes_options = false;  // buffers and Nagle, in the middle
  bool in_place = false;         // writes and reads without a copy, and holds what it borrows for a while
  bool tails_wait = false;       // what a write leaves over, less than a burst, may wait for the next one
  std::vector<CallPlan> calls;   // by `at`
  TcpOptions options{};
};

struct ConversationPlan {
  size_t link = 0;
  size_t client_end = 0;  // which end of the link opens (0 or 1)
  Duration start{};
  uint16_t server_port = 0;
  uint16_t client_port = 0;   // 0: ephemeral
  bool simultaneous = false;  // both ends open actively, at the same moment
  bool nobody_there = false;  // the port has no listener
  bool to_itself = false;     // client and server are on one host
  int32_t again = -1;         // opens the ports of this conversation anew, as soon as it is over
  bool must_finish = false;   // nothing on the path excuses a failure
  bool absent = false;        // taken out of the scenario; the others keep their numbers
  TalkerPlan client;
  TalkerPlan server;

  size_t server_end() const { return to_itself ? client_end : 1 - client_end; }
};

struct ListenerPlan {
  size_t host = 0;
  uint16_t port = 0;
  uint32_t backlog = 128;
  Duration accept_pause{};  // between two accepts
  Duration close_at{};      // 0: when all else is done
  TcpOptions options{};
};

struct DatagramPlan {
  size_t link = 0;
  size_t sender_end = 0;
  uint16_t port = 0;
  bool nobody_there = false;
  bool connected = false;
  uint32_t count = 0;
  uint32_t max_size = 0;  // bytes
  Duration start{};
  Duration interval{};
};

struct Scenario {
  uint64_t seed = 0;
  std::vector<HostPlan> hosts;
  std::vector<LinkPlan> links;
  std::vector<ListenerPlan> listeners;
  std::vector<ConversationPlan> conversations;
  std::vector<DatagramPlan> datagrams;
};

// The networks whose hashes are on record: hosts, links and conversations.
Scenario draw_plain_scenario(uint64_t seed);
// The same, with more: socket calls in the middle, other ways to leave, an algorithm for each end, middleboxes.
Scenario draw_scenario(uint64_t seed);
std::string describe(const Scenario& scenario);

}  // namespace limpid::sim
