// The kernel's end of the cable: make, address and bring up its interfaces, without the `ip` binary (rtnetlink, ioctl,
// sysctl). All of it acts in the network namespace of the calling thread and needs CAP_NET_ADMIN there, as any process
// has in a namespace of its own. One function does one thing and throws DeviceError with cause and cure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "drivers/device_error.h"
#include "stack/base/time.h"
#include "stack/wire/address.h"

namespace limpid {

// --- looking
// -----------------------------------------------------------------------------------------------------------
bool interface_exists(const std::string& interface);
unsigned interface_index(const std::string& interface);               // throws when there is none of that name
std::optional<uint32_t> interface_mtu(const std::string& interface);  // nothing when there is none
MacAddress interface_mac(const std::string& interface);

// --- making
// ------------------------------------------------------------------------------------------------------------
void add_veth_pair(const std::string& one, const std::string& other);
void remove_interface(const std::string& interface);  // of a veth pair: both go

// --- setting up
// --------------------------------------------------------------------------------------------------------
void add_interface_address(const std::string& interface, const IpAddress& address, int prefix);
// Destination through the interface, by way of a gateway when one is set.
void add_kernel_route(const IpAddress& destination, int prefix, const std::string& interface, const IpAddress& gateway);
void set_interface_mtu(const std::string& interface, uint32_t mtu);
void set_interface_mac(const std::string& interface, const MacAddress& mac);
void set_interface_up(const std::string& interface, bool up);
// Waits until an interface that is up carries frames. The kernel looks at the carriers of its virtual cables once a
// second, and drops what is sent over one before. False: it took longer than that.
bool wait_until_running(const std::string& interface, Duration patience);
void set_transmit_queue(const std::string& interface, uint32_t frames);  // txqueuelen
std::optional<uint32_t> transmit_queue(const std::string& interface);    // nothing when there is none of that name
// Checksum left to hardware (tx), scatter-gather, TSO, GSO and GRO off: what leaves the interface is finished frames.
void switch_offloads_off(const std::string& interface);
// Super-segments of UDP (UDP_SEGMENT) are cut before they leave the interface.
void switch_udp_segmentation_off(const std::string& interface);
// No router solicitations and link-local chatter. A kernel without IPv6 is left as it is.
void disable_ipv6(const std::string& interface);
// A file under /proc/sys, named with slashes: write_sysctl("net/ipv4/tcp_retries2", "255").
void write_sysctl(const std::string& name, std::string_view value);

// A locally administered link address for our host behind an interface of this name: the same each time, and not the
// interface's own.
MacAddress virtual_host_mac(std::string_view interface);

}  // namespace limpid
