// A program's way onto the network. This is the one place where device, decorators, runtime and sockets are put
// together; the programs themselves know socket calls only.
//
//   kernel's end 10.77.0.1 ── TUN or veth ── [fault] ── [pcapng, trace] ── Stack 10.77.0.2 ── sockets ── program
//
// A main reads:
//
//   limpid::HostOptions where;
//   limpid::add_host_options(app, where);        // --kernel, --tun, --address, --pcapng, ...
//   CLI11_PARSE(app, argc, argv);
//   return limpid::with_host(where, [&](const SocketCalls& calls) { return run(options, calls); });
#pragma once

#include <limpid/calls.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace limpid {

struct HostOptions {
  bool kernel = false;  // the kernel's sockets instead of ours: nothing below is looked at
  std::string tun;      // attach to this TUN or TAP device (persistent, or made by us where we may)
  int fd = -1;          // an open TUN or TAP descriptor to take over
  std::string packet;   // an Ethernet interface (one end of a veth pair) to use through AF_PACKET
  std::string device;   // the sort of device to make: "tun", "tap", "veth"; empty: what can be had
  std::string address;  // ours, with prefix: "10.77.0.2/24"; empty: the one that belongs to the device we make
  std::string gateway;  // default route; empty: the kernel's end
  std::string pcapng;   // write every packet, each with its reason, to this file
  std::string trace;    // print every packet and decision as a dialogue: a file, or "-" for standard error
  std::string qlog;     // write every event as qlog, for viewers and scripts, to this file
  bool offloads =
      true;  // 64 KiB segments and open checksums over TUN, where the kernel has them and no fault is asked for
  uint16_t queues = 1;  // of the TUN, each with a stack of its own
  // A waiting call looks at the device for so long before it sleeps; none: for a moment, where that has paid lately.
  std::optional<uint32_t> busy_poll_us{};
  uint32_t tcp_fast_open = 1;  // what TCP Fast Open may do: the bits of fast_open_bit (stack/config.h)
  std::string fault;           // harm packets by this plan, both ways: drivers/fault.h says how a plan is written
  uint64_t seed = 0;           // of the stack's randomness and of the faults; 0: from the system
  std::string control;  // path of the socket that `limpid ss` asks; empty: stack/runtime/control_server.h says where
};

// Adds the options above to a program's command line, as a group of their own.
void add_host_options(CLI::App& app, HostOptions& options);

// A host on the network from construction to destruction; it is current (lp_host_use) in the thread that makes it.
// Without --tun, --fd or --packet it makes a device in the private network that `limpid up` or `limpid run` prepared.
// Throws DeviceError, or std::runtime_error, whose what() is one line of cause and one of cure.
class OpenHost {
 public:
  explicit OpenHost(const HostOptions& options);
  ~OpenHost();  // drains: closed connections deliver their data and FIN first, for at most 5 s without progress
  OpenHost(const OpenHost&) = delete;
  OpenHost& operator=(const OpenHost&) = delete;

  const SocketCalls& calls() const;         // lp_limpid_calls, or lp_kernel_calls with --kernel
  const std::string& way() const;           // one line: how we came onto the network
  const std::string& address() const;       // ours, without prefix: "10.77.0.2"; "0.0.0.0" with --kernel
  const std::string& peer_address() const;  // the kernel's end: "10.77.0.1"

  void stop();  // waiting calls fail with ECANCELED from now on; async-signal-safe

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Opens a host, runs the program on it with Ctrl-C and SIGTERM meaning stop() (a second one ends the process at once),
// and returns its exit status; what went wrong is said on standard error, with status 1.
int with_host(const HostOptions& options, const std::function<int(const SocketCalls&)>& program);

}  // namespace limpid
