#include "drivers/netconfig.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>
#include <thread>

#include "drivers/descriptor.h"
#include "drivers/rtnetlink.h"

namespace limpid {
namespace {

const char* cure_for(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "run in a network namespace of your own (unshare -Urn), or as root";
    case ENODEV:
      return "make the interface first, in this network namespace";
    case EEXIST:
      return "it is there already: remove it, or take another name or address";
    case EBUSY:
      return "something holds the interface: end it, or take another name";
    case EOPNOTSUPP:
      return "this kernel or interface lacks it: take another kind of device";
    case EROFS:
      return "/proc/sys is mounted read-only: mount it writable, or start the container with that sysctl";
    default:
      return "check name and value";
  }
}

[[noreturn]] void fail(int error, const std::string& what) {
  throw DeviceError(error, fmt::format("{}: {}", what, errno_text(error)), cure_for(error));
}

ifreq request_for(const std::string& interface) {
  ifreq request{};
  if (interface.empty() || interface.size() >= IFNAMSIZ)
    throw DeviceError(EINVAL, fmt::format("\"{}\" cannot be the name of an interface", interface),
                      fmt::format("take one of 1 to {} characters", IFNAMSIZ - 1));
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  return request;
}

// The socket only tells the kernel which namespace is meant.
int interface_ioctl(unsigned long command, ifreq& request) {
  const KernelDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  return ::ioctl(socket.get(), command, &request) < 0 ? errno : 0;
}

std::span<const uint8_t> address_bytes(const IpAddress& address) {
  return std::span(address.bytes()).first(address.is_v4() ? 4 : 16);
}

void ethtool_off(const std::string& interface, uint32_t command, const char* what) {
  ethtool_value value{.cmd = command, .data = 0};
  ifreq request = request_for(interface);
  request.ifr_data = reinterpret_cast<char*>(&value);
  const int error = interface_ioctl(SIOCETHTOOL, request);
  if (error != 0 && error != EOPNOTSUPP) fail(error, fmt::format("switching {} of {} off", what, interface));
}

}  // namespace

bool interface_exists(const std::string& interface) {
  ifreq request = request_for(interface);
  return interface_ioctl(SIOCGIFINDEX, request) == 0;
}

unsigned interface_index(const std::string& interface) {
  ifreq request = request_for(interface);
  const int error = interface_ioctl(SIOCGIFINDEX, request);
  if (error != 0) fail(error, fmt::format("interface {}", interface));
  return static_cast<unsigned>(request.ifr_ifindex);
}

std::optional<uint32_t> interface_mtu(const std::string& interface) {
  ifreq request = request_for(interface);
  if (interface_ioctl(SIOCGIFMTU, request) != 0) return std::nullopt;
  return static_cast<uint32_t>(request.ifr_mtu);
}

MacAddress interface_mac(const std::string& interface) {
  ifreq request = request_for(interface);
  const int error = interface_ioctl(SIOCGIFHWADDR, request);
  if (error != 0) fail(error, fmt::format("link address of {}", interface));
  MacAddress mac;
  std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
  return mac;
}

void add_veth_pair(const std::string& one, const std::string& other) {
  request_for(one);
  request_for(other);
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.append(ifinfomsg{});
  request.attribute(IFLA_IFNAME, one);
  const size_t info = request.begin(IFLA_LINKINFO);
  request.attribute(IFLA_INFO_KIND, "veth");
  const size_t data = request.begin(IFLA_INFO_DATA);
  const size_t peer = request.begin(VETH_INFO_PEER);
  request.append(ifinfomsg{});
  request.attribute(IFLA_IFNAME, other);
  request.end(peer);
  request.end(data);
  request.end(info);
  if (const int error = request.run(); error != 0) fail(error, fmt::format("veth pair {} and {}", one, other));
}

void remove_interface(const std::string& interface) {
  NetlinkRequest request(RTM_DELLINK, 0);
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(interface_index(interface));
  request.append(link);
  if (const int error = request.run(); error != 0) fail(error, fmt::format("removing {}", interface));
}

void add_interface_address(const std::string& interface, const IpAddress& address, int prefix) {
  NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  ifaddrmsg message{};
  message.ifa_family = address.is_v4() ? AF_INET : AF_INET6;
  message.ifa_prefixlen = static_cast<uint8_t>(prefix);
  message.ifa_index = interface_index(interface);
  request.append(message);
  const auto bytes = address_bytes(address);
  request.attribute(IFA_LOCAL, bytes.data(), bytes.size());
  request.attribute(IFA_ADDRESS, bytes.data(), bytes.size());
  if (const int error = request.run(); error != 0)
    fail(error, fmt::format("address {}/{} on {}", address.to_string(), prefix, interface));
}

void add_kernel_route(const IpAddress& destination, int prefix, const std::string& interface,
                      const IpAddress& gateway) {
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  rtmsg message{};
  message.rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  message.rtm_dst_len = static_cast<uint8_t>(prefix);
  message.rtm_table = RT_TABLE_MAIN;
  message.rtm_protocol = RTPROT_STATIC;
  message.rtm_scope = gateway.is_set() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  message.rtm_type = RTN_UNICAST;
  request.append(message);
  const auto bytes = address_bytes(destination);
  request.attribute(RTA_DST, bytes.data(), bytes.size());
  request.attribute(RTA_OIF, static_cast<uint32_t>(interface_index(interface)));
  if (gateway.is_set()) {
    const auto via = address_bytes(gateway);
    request.attribute(RTA_GATEWAY, via.data(), via.size());
  }
  if (const int error = request.run(); error != 0)
    fail(error, fmt::format("route to {}/{} by {}", destination.to_string(), prefix, interface));
}

void set_interface_mtu(const std::string& interface, uint32_t mtu) {
  ifreq request = request_for(interface);
  request.ifr_mtu = static_cast<int>(mtu);
  if (const int error = interface_ioctl(SIOCSIFMTU, request); error != 0)
    fail(error, fmt::format("MTU {} on {}", mtu, interface));
}

void set_interface_mac(const std::string& interface, const MacAddress& mac) {
  ifreq request = request_for(interface);
  if (const int error = interface_ioctl(SIOCGIFHWADDR, request); error != 0)
    fail(error, fmt::format("link address of {}", interface));
  std::memcpy(request.ifr_hwaddr.sa_data, mac.bytes.data(), mac.bytes.size());
  if (const int error = interface_ioctl(SIOCSIFHWADDR, request); error != 0)
    fail(error, fmt::format("link address {} on {}", mac.to_string(), interface));
}

void set_interface_up(const std::string& interface, bool up) {
  ifreq request = request_for(interface);
  if (const int error = interface_ioctl(SIOCGIFFLAGS, request); error != 0)
    fail(error, fmt::format("flags of {}", interface));
  const int flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
  request.ifr_flags = static_cast<short>(flags);
  if (const int error = interface_ioctl(SIOCSIFFLAGS, request); error != 0)
    fail(error, fmt::format("bringing {} {}", interface, up ? "up" : "down"));
}

namespace {

// IFLA_OPERSTATE (RFC 2863): up only after the kernel has looked at the carrier and let the queue go.
bool is_operational(const std::string& interface) {
  NetlinkRequest request(RTM_GETLINK, 0);
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(interface_index(interface));
  request.append(link);
  const std::vector<std::byte> answer = request.ask();
  for (size_t at = NLMSG_LENGTH(sizeof link); at + sizeof(rtattr) <= answer.size();) {
    rtattr attribute{};
    std::memcpy(&attribute, answer.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > answer.size()) return false;
    if (attribute.rta_type == IFLA_OPERSTATE) return answer[at + RTA_LENGTH(0)] == std::byte{IF_OPER_UP};
    at += RTA_ALIGN(attribute.rta_len);
  }
  return false;
}

}  // namespace

bool wait_until_running(const std::string& interface, Duration patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!is_operational(interface)) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

void set_transmit_queue(const std::string& interface, uint32_t frames) {
  // By rtnetlink: SIOCSIFTXQLEN wants the privilege over the whole machine, not over the namespace.
  NetlinkRequest request(RTM_NEWLINK, 0);
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(interface_index(interface));
  request.append(link);
  request.attribute(IFLA_TXQLEN, frames);
  if (const int error = request.run(); error != 0)
    fail(error, fmt::format("transmit queue of {} frames on {}", frames, interface));
}

std::optional<uint32_t> transmit_queue(const std::string& interface) {
  ifreq request = request_for(interface);
  if (interface_ioctl(SIOCGIFTXQLEN, request) != 0) return std::nullopt;
  return static_cast<uint32_t>(request.ifr_qlen);
}

void switch_offloads_off(const std::string& interface) {
  ethtool_off(interface, ETHTOOL_STSO, "TSO");
  ethtool_off(interface, ETHTOOL_SGSO, "GSO");
  ethtool_off(interface, ETHTOOL_SGRO, "GRO");
  ethtool_off(interface, ETHTOOL_SSG, "scatter-gather");
  ethtool_off(interface, ETHTOOL_STXCSUM, "transmit checksum offload");
}

void switch_udp_segmentation_off(const std::string& interface) {
  // A feature without a command of its own: it goes by its place in the list of names.
  constexpr size_t kMost = 256;
  std::vector<std::byte> buffer(sizeof(ethtool_gstrings) + kMost * ETH_GSTRING_LEN);
  ethtool_gstrings names{.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = kMost};
  std::memcpy(buffer.data(), &names, sizeof names);
  ifreq request = request_for(interface);
  request.ifr_data = reinterpret_cast<char*>(buffer.data());
  if (interface_ioctl(SIOCETHTOOL, request) != 0) return;
  std::memcpy(&names, buffer.data(), sizeof names);
  for (uint32_t i = 0; i < std::min<uint32_t>(names.len, kMost); ++i) {
    const char* name = reinterpret_cast<const char*>(buffer.data()) + sizeof names + size_t{i} * ETH_GSTRING_LEN;
    if (std::strncmp(name, "tx-udp-segmentation", ETH_GSTRING_LEN) != 0) continue;
    std::vector<std::byte> change(sizeof(ethtool_sfeatures) + kMost / 32 * sizeof(ethtool_set_features_block));
    const ethtool_sfeatures head{.cmd = ETHTOOL_SFEATURES, .size = names.len / 32 + (names.len % 32 != 0 ? 1 : 0)};
    const ethtool_set_features_block off{.valid = uint32_t{1} << i % 32, .requested = 0};
    std::memcpy(change.data(), &head, sizeof head);
    std::memcpy(change.data() + sizeof head + size_t{i / 32} * sizeof off, &off, sizeof off);
    request.ifr_data = reinterpret_cast<char*>(change.data());
    (void)interface_ioctl(SIOCETHTOOL, request);  // a kernel that does not know the feature has none to switch off
    return;
  }
}

void disable_ipv6(const std::string& interface) {
  try {
    write_sysctl(fmt::format("net/ipv6/conf/{}/disable_ipv6", interface), "1");
  } catch (const DeviceError& e) {
    if (e.error() != ENOENT || !interface_exists(interface)) throw;
  }
}

void write_sysctl(const std::string& name, std::string_view value) {
  const std::string path = "/proc/sys/" + name;
  const KernelDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) fail(errno, path);
  if (::write(file.get(), value.data(), value.size()) < 0)
    fail(errno, fmt::format("writing \"{}\" to {}", value, path));
}

MacAddress virtual_host_mac(std::string_view interface) {
  uint32_t hash = 2166136261;  // FNV-1a: any spread will do, there are two hosts on the cable
  for (const char c : interface) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  MacAddress mac{{0x02, 'L', 'p', 0, 0, 0}};  // 0x02: locally administered, unicast
  for (size_t i = 0; i < 3; ++i) mac.bytes[3 + i] = static_cast<uint8_t>(hash >> (8 * i));
  return mac;
}

}  // namespace limpid
