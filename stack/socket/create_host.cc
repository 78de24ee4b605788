// lp_host_create and lp_host_destroy: for programs that use the library by itself, the one place where it puts device,
// runtime and sockets together. (The bundled programs have apps/common/open_host.h, which offers more.)
#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>

#include "drivers/tun.h"
#include "stack/runtime/control_server.h"
#include "stack/runtime/real_world.h"
#include "stack/socket/host.h"

namespace limpid {
namespace {

// A host made here, with the world it lives in. The host goes first, then whoever tells of it.
struct OwnedHost {
  RealWorld world;
  std::unique_ptr<ControlServer> control;
  std::unique_ptr<Host> host;
};

// All of them, so that lp_host_destroy knows what it is given.
std::mutex owned_mutex;
std::map<lp_host*, std::unique_ptr<OwnedHost>> owned_hosts;

struct Refused {
  int error;  // errno
};

struct Network {
  IpAddress address;
  int prefix = 0;
};

Network parse_network(std::string_view text) {
  size_t slash = text.find('/');
  std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  if (!address || slash == std::string_view::npos) throw Refused{EINVAL};
  Network network{*address, 0};
  const char* end = text.data() + text.size();
  auto [last, failed] = std::from_chars(text.data() + slash + 1, end, network.prefix);
  if (failed != std::errc{} || last != end || network.prefix < 1 || network.prefix > 32) throw Refused{EINVAL};
  return network;
}

// A device whose MTU is smaller than the kernel's end says.
class SmallerMtu final : public Device {
 public:
  SmallerMtu(std::unique_ptr<Device> inner, uint32_t mtu) : inner_(std::move(inner)), mtu_(mtu) {}
  int descriptor() const override { return inner_->descriptor(); }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override { return inner_->receive_batch(frames, now); }
  Transmit transmit(const TxFrame& frame, Time now) override { return inner_->transmit(frame, now); }
  bool wants_writable() const override { return inner_->wants_writable(); }
  Time next_deadline() const override { return inner_->next_deadline(); }
  void advance(Time now) override { inner_->advance(now); }
  Capabilities capabilities() const override {
    Capabilities found = inner_->capabilities();
    found.mtu = std::min(found.mtu, mtu_);
    return found;
  }

 private:
  std::unique_ptr<Device> inner_;
  uint32_t mtu_;
};

// Null: loopback is all that the host has.
std::unique_ptr<Device> open_device(const lp_host_config& config) {
  std::unique_ptr<Device> device;
  TunOptions options;
  if (config.device != nullptr) {
    options.name = config.device;
    options.offloads = true;
    device = std::make_unique<TunDevice>(options);
  } else if (config.fd >= 0) {
    device = std::make_unique<TunDevice>(config.fd, options);
  }
  if (device && config.mtu != 0) device = std::make_unique<SmallerMtu>(std::move(device), config.mtu);
  return device;
}

void add_to_network(RealMachine& machine, std::unique_ptr<Device> device, const lp_host_config& config) {
  if (config.address == nullptr) throw Refused{EINVAL};
  Network network = parse_network(config.address);
  std::optional<IpAddress> gateway;
  if (config.gateway != nullptr) {
    gateway = IpAddress::parse(config.gateway);
    if (!gateway) throw Refused{EINVAL};
  }
  InterfaceId interface = machine.add_device(std::move(device));
  Hold hold(machine);
  hold.stack().add_address(interface, network.address, network.prefix);
  if (gateway) hold.stack().add_route(IpAddress::v4(0), 0, interface, *gateway);
}

lp_host* create(const lp_host_config& config) {
  auto owned = std::make_unique<OwnedHost>();
  RealMachine& machine = owned->world.add_machine(Config{}, config.seed);
  if (std::unique_ptr<Device> device = open_device(config)) add_to_network(machine, std::move(device), config);
  machine.start();
  owned->host = std::make_unique<Host>(owned->world, machine);
  if (config.control != nullptr)
    owned->control = std::make_unique<ControlServer>(std::vector<Machine*>{&machine}, config.control);
  lp_host* host = owned->host.get();
  std::lock_guard guard(owned_mutex);
  owned_hosts.emplace(host, std::move(owned));
  return host;
}

}  // namespace
}  // namespace limpid

extern "C" {

lp_host* lp_host_create(const lp_host_config* config) {
  // A program that was built against an earlier header has a shorter struct: what it does not know keeps its default.
  lp_host_config known{};
  known.fd = -1;
  if (config == nullptr || config->size < offsetof(lp_host_config, fd) || config->size > sizeof known) {
    errno = EINVAL;
    return nullptr;
  }
  std::memcpy(&known, config, config->size);
  try {
    return limpid::create(known);
  } catch (const limpid::Refused& error) {
    errno = error.error;
  } catch (const limpid::DeviceError& error) {
    errno = error.error() != 0 ? error.error() : ENODEV;
  } catch (const std::system_error& error) {
    errno = error.code().value();
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
  }
  return nullptr;
}

void lp_host_destroy(lp_host* host) {
  std::unique_ptr<limpid::OwnedHost> owned;
  {
    std::lock_guard guard(limpid::owned_mutex);
    auto found = limpid::owned_hosts.find(host);
    if (found == limpid::owned_hosts.end()) return;
    owned = std::move(found->second);
    limpid::owned_hosts.erase(found);
  }
  owned->host->close_all();
  owned->host->drain(std::chrono::seconds(5));
  if (limpid::Host::current() == owned->host.get()) limpid::Host::use(nullptr);
}

}  // extern "C"
