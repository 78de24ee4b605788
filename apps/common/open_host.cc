#include "apps/common/open_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdlib>
#include <random>

#include "apps/common/sandbox.h"
#include "drivers/fault.h"
#include "drivers/netconfig.h"
#include "drivers/packet.h"
#include "drivers/pcapng.h"
#include "drivers/qlog.h"
#include "drivers/trace.h"
#include "drivers/tun.h"
#include "stack/runtime/control_server.h"
#include "stack/runtime/real_world.h"
#include "stack/socket/host.h"

namespace limpid {
namespace {

struct Network {
  IpAddress address;
  int prefix = 24;
};

// "10.77.0.2/24".
Network parse_network(const std::string& text) {
  size_t slash = text.find('/');
  std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  int prefix = slash == std::string::npos ? 24 : std::atoi(text.c_str() + slash + 1);
  if (!address || prefix < 1 || prefix > 32)
    throw std::runtime_error(fmt::format("--address {}: not an IPv4 address\n  write it as 10.77.0.2/24", text));
  return {*address, prefix};
}

// Without --gateway the kernel's end is the first address of the network.
IpAddress gateway_of(const std::string& text, const Network& network) {
  if (!text.empty()) {
    if (std::optional<IpAddress> gateway = IpAddress::parse(text)) return *gateway;
    throw std::runtime_error(fmt::format("--gateway {}: not an IPv4 address\n  write it as 10.77.0.1", text));
  }
  uint32_t mask = network.prefix == 32 ? ~uint32_t{0} : ~(~uint32_t{0} >> network.prefix);
  return IpAddress::v4((network.address.v4_bits() & mask) + 1);
}

void print_line(std::string_view line) { fmt::print(stderr, "limpid: {}\n", line); }

// What tells of packets tells of one stack's, in the order of its clock.
void refuse_what_several_queues_have_not(const HostOptions& options) {
  if (options.queues == 1) return;
  const auto refuse = [](std::string_view what, std::string_view cure) {
    throw std::runtime_error(fmt::format("--queues: several queues and {} are not built\n  {}", what, cure));
  };
  if (!options.packet.empty()) refuse("--packet", "take a TUN, or one queue");
  if (!options.pcapng.empty()) refuse("--pcapng", "capture at the kernel's end with tcpdump, or take one queue");
  if (!options.trace.empty() || !options.qlog.empty()) refuse("--trace or --qlog", "take one queue");
}

Cable open_cable(const HostOptions& options) {
  refuse_what_several_queues_have_not(options);
  Cable cable;
  TunOptions tun;
  tun.name = options.tun;
  tun.log = print_line;
  tun.offloads = options.offloads;
  tun.queues = options.queues;
  if (options.fd >= 0) {
    cable.device = std::make_unique<TunDevice>(options.fd, tun);
    cable.way = fmt::format("descriptor {}", options.fd);
  } else if (!options.tun.empty()) {
    for (auto& queue : open_tun_queues(tun)) {
      if (cable.device) {
        cable.more_queues.push_back(std::move(queue));
      } else {
        cable.device = std::move(queue);
      }
    }
    cable.way = fmt::format("TUN device {}", options.tun);
  } else if (!options.packet.empty()) {
    PacketOptions packet;
    packet.interface = options.packet;
    packet.offloads = options.offloads;
    packet.log = print_line;
    cable.device = std::make_unique<PacketDevice>(packet);
    cable.way = fmt::format("AF_PACKET on {}", options.packet);
  } else if (inside_private_network()) {
    cable = make_cable(options.device, tun.offloads, options.queues);
  } else {
    throw std::runtime_error(
        "no network device: none was named, and this is not the private network of `limpid up`\n"
        "  start it as `./limpid run -- PROGRAM …` or inside `./limpid up`, name a device by --tun NAME or --fd N, or "
        "take the kernel's sockets by --kernel");
  }
  if (!options.address.empty()) cable.address = options.address;
  if (!options.gateway.empty()) cable.gateway = options.gateway;
  if (cable.address.empty()) cable.address = "10.77.0.2/24";
  return cable;
}

// All who want to know what happens: the capture, the dialogue.
class Events final : public TraceSink {
 public:
  void add(TraceSink& sink) { sinks_.push_back(&sink); }
  bool empty() const { return sinks_.empty(); }
  void event(const Event& e) override {
    for (TraceSink* sink : sinks_) sink->event(e);
  }

 private:
  std::vector<TraceSink*> sinks_;
};

// Interrupts in the order of their coming: the first asks the host to stop, the second ends the process.
std::atomic<lp_host*> interrupted_host{nullptr};

void on_interrupt(int number) {
  if (lp_host* host = interrupted_host.exchange(nullptr)) {
    lp_host_stop(host);
    return;
  }
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

struct OpenHost::State {
  ~State();

  const SocketCalls* calls = &lp_kernel_calls;
  std::string way = "the kernel's sockets";
  std::string address = "0.0.0.0";
  std::string peer = "0.0.0.0";
  // Torn down from the last to the first: a decorator refers to the device that it wraps, the machine owns the
  // outermost.
  std::string interface_to_remove;
  std::vector<std::unique_ptr<Device>> wrapped;
  std::unique_ptr<PcapngWriter> pcapng;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> trace_file{nullptr, std::fclose};
  std::unique_ptr<Dialogue> dialogue;
  std::unique_ptr<QlogWriter> qlog;
  Events events;
  std::unique_ptr<RealWorld> world;
  std::unique_ptr<Host> host;
  std::unique_ptr<ControlServer> control;

  void open(const HostOptions& options);

 private:
  std::unique_ptr<Device> add_faults(std::unique_ptr<Device> device, const std::string& plan, uint64_t seed);
  std::unique_ptr<Device> add_capture(std::unique_ptr<Device> device, const std::string& path, Time now);
  void add_dialogue(const std::string& path, const std::string& our_address);
  void serve_control(const std::string& path, std::vector<Machine*> machines);
};

OpenHost::State::~State() {
  if (interface_to_remove.empty()) return;
  control.reset();
  host.reset();
  world.reset();
  try {
    remove_interface(interface_to_remove);  // so that the next program of this network has the number again
  } catch (const DeviceError&) {
    // It goes with the network then.
  }
}

std::unique_ptr<Device> OpenHost::State::add_faults(std::unique_ptr<Device> device, const std::string& plan,
                                                    uint64_t seed) {
  if (plan.empty()) return device;
  auto parsed = FaultPlan::parse(plan);
  if (!parsed) throw std::runtime_error(fmt::format("--fault {}: {}", plan, parsed.error()));
  wrapped.push_back(std::move(device));
  return std::make_unique<FaultDevice>(*wrapped.back(), *parsed, Rng(seed).split("fault"));
}

std::unique_ptr<Device> OpenHost::State::add_capture(std::unique_ptr<Device> device, const std::string& path,
                                                     Time now) {
  if (path.empty()) return device;
  auto wall_clock = std::chrono::system_clock::now().time_since_epoch() - now.time_since_epoch();
  PcapngOptions options;
  options.epoch_ns = std::chrono::nanoseconds(wall_clock).count();
  pcapng = std::make_unique<PcapngWriter>(path, options);
  wrapped.push_back(std::move(device));
  auto capture = std::make_unique<PcapngDevice>(*wrapped.back(), *pcapng, PcapngCapture{});
  events.add(*capture);
  return capture;
}

void OpenHost::State::add_dialogue(const std::string& path, const std::string& our_address) {
  if (path.empty()) return;
  std::FILE* out = stderr;
  if (path != "-") {
    trace_file.reset(std::fopen(path.c_str(), "w"));
    out = trace_file.get();
    if (out == nullptr) throw std::system_error(errno, std::generic_category(), "--trace " + path);
  }
  dialogue = std::make_unique<Dialogue>(lines_to(out), dialogue_options_for(out));
  events.add(dialogue->host(our_address));
}

// A stack that nobody can ask is still a stack: only a path that was asked for has to work.
void OpenHost::State::serve_control(const std::string& path, std::vector<Machine*> machines) {
  try {
    control = std::make_unique<ControlServer>(std::move(machines), path.empty() ? default_control_path() : path);
  } catch (const std::system_error& error) {
    if (!path.empty()) throw;
    print_line(fmt::format("no control socket, limpid-ss will not see this stack: {}", error.what()));
  }
}

void OpenHost::State::open(const HostOptions& options) {
  Cable found = open_cable(options);
  if (found.stays) interface_to_remove = found.kernel_interface;
  Network network = parse_network(found.address);
  IpAddress gateway = gateway_of(found.gateway, network);
  uint64_t seed = options.seed != 0 ? options.seed : std::random_device{}() | uint64_t{std::random_device{}()} << 32;

  world = std::make_unique<RealWorld>();
  Config config;
  config.tcp.fast_open = options.tcp_fast_open;
  std::vector<std::unique_ptr<Device>> devices = std::move(found.more_queues);
  devices.insert(devices.begin(), std::move(found.device));
  const std::vector<RealMachine*> machines = options.queues == 1
                                                 ? std::vector<RealMachine*>{&world->add_machine(config, seed)}
                                                 : world->add_machines(config, seed, options.queues);
  add_dialogue(options.trace, network.address.to_string());
  if (!options.qlog.empty()) {
    qlog = std::make_unique<QlogWriter>(options.qlog, QlogOptions{.host = network.address.to_string()});
    events.add(*qlog);
  }
  for (size_t i = 0; i < machines.size(); ++i) {
    RealMachine& machine = *machines[i];
    const Time now = Hold(machine).now();
    auto device = add_faults(std::move(devices[i]), options.fault, seed + i);
    device = add_capture(std::move(device), options.pcapng, now);
    const InterfaceId interface = machine.add_device(std::move(device));
    if (options.busy_poll_us) machine.set_busy_poll(std::chrono::microseconds(*options.busy_poll_us));
    Hold hold(machine);
    hold.stack().add_address(interface, network.address, network.prefix);
    hold.stack().add_route(IpAddress::v4(0), 0, interface, gateway);
    if (!events.empty()) hold.stack().set_trace_sink(&events);
  }
  for (RealMachine* machine : machines) machine->start();
  host = std::make_unique<Host>(*world, std::vector<Machine*>(machines.begin(), machines.end()));
  Host::use(host.get());
  serve_control(options.control, {machines.begin(), machines.end()});

  calls = &lp_limpid_calls;
  way = found.way;
  address = network.address.to_string();
  peer = gateway.to_string();
}

OpenHost::OpenHost(const HostOptions& options) : state_(std::make_unique<State>()) {
  if (!options.kernel) state_->open(options);
}

OpenHost::~OpenHost() {
  if (!state_->host) return;
  state_->host->close_all();
  state_->host->drain(5s);
  if (Host::current() == state_->host.get()) Host::use(nullptr);
}

const SocketCalls& OpenHost::calls() const { return *state_->calls; }
const std::string& OpenHost::way() const { return state_->way; }
const std::string& OpenHost::address() const { return state_->address; }
const std::string& OpenHost::peer_address() const { return state_->peer; }

void OpenHost::stop() {
  if (state_->host) state_->host->stop();
}

int with_host(const HostOptions& options, const std::function<int(const SocketCalls&)>& program) {
  try {
    OpenHost host(options);
    interrupted_host = lp_host_current();
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    int status = program(host.calls());
    interrupted_host = nullptr;  // from here on an interrupt ends the process, and the drain with it
    return status;
  } catch (const std::exception& error) {
    fmt::print(stderr, "limpid: {}\n", error.what());
    return 1;
  }
}

void add_host_options(CLI::App& app, HostOptions& options) {
  auto* group = app.add_option_group("The host", "How the program comes onto the network");
  group->add_flag("--kernel", options.kernel, "use the kernel's sockets instead of ours");
  group->add_option("--tun", options.tun, "attach to this TUN device");
  group->add_option("--fd", options.fd, "take over an open TUN descriptor");
  group->add_option("--packet", options.packet, "use this Ethernet interface through AF_PACKET");
  group->add_option("--device", options.device, "make a device of this sort: tun, tap or veth")
      ->check(CLI::IsMember({"tun", "tap", "veth"}));
  group->add_option("--address", options.address, "our address, with prefix: 10.77.0.2/24");
  group->add_option("--gateway", options.gateway, "default route: 10.77.0.1");
  group->add_option("--pcapng", options.pcapng, "write every packet, with its reason, to this file");
  group->add_option("--trace", options.trace, "print every packet and decision as a dialogue: a file, or - for stderr");
  group->add_option("--qlog", options.qlog, "write every event as qlog (JSON), for viewers and scripts, to this file");
  group->add_option("--control", options.control, "path of the socket that limpid-ss asks");
  group->add_option("--queues", options.queues, "queues of the TUN, each with a stack and a thread of its own: 1 to 32")
      ->check(CLI::Range(1, 32));
  group->add_flag("!--no-offloads", options.offloads,
                  "packets of the MTU and finished checksums only, over the device");
  group->add_option("--busy-poll", options.busy_poll_us,
                    "microseconds for which a waiting call looks at the device again and again before it sleeps; 0: it "
                    "sleeps at once (default: up to 50 while that has paid lately)");
  group->add_option(
      "--tcp-fast-open", options.tcp_fast_open,
      "what TCP Fast Open may do, as Linux's tcp_fastopen: 1 (default): clients, 2: servers, 3: both, 0: nobody");
  group->add_option("--fault", options.fault, "harm packets, both ways: loss=2%,reorder=2%,dup=1%");
  group->add_option("--seed", options.seed, "of all randomness");
}

}  // namespace limpid
