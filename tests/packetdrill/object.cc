// The table of packetdrill's interface, filled with our socket calls.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cstdarg>
#include <cstring>
#include <vector>

#include "tests/packetdrill/drill.h"
#include "tests/packetdrill/interface.h"
#include "tests/packetdrill/knobs.h"

namespace limpid::packetdrill {
namespace {

Drill* g_drill = nullptr;  // never destroyed: packetdrill's second thread may sleep in it when the process ends

constexpr int kNobody = 0x7fffff;  // a number in no table of ours: calls on it answer EBADF

Drill& drill_of(void* userdata) { return *static_cast<Drill*>(userdata); }

// A call on one descriptor: on ours if it is ours, else on the kernel's (a file or a pipe that the script opened).
template <auto kOurs, auto kKernels, class... Arguments>
auto on_descriptor(void* userdata, int number, Arguments... arguments) {
  Drill& drill = drill_of(userdata);
  const int ours = drill.descriptors.find(number);
  if (ours < 0) return kKernels(number, arguments...);
  const DrillCall call(drill);
  return kOurs(ours, arguments...);
}

// Scripts turn them between two calls.
void heed_knobs(Drill& drill) {
  Config config = drill.host.config();
  read_knobs(config.tcp);
  drill.host.configure(config);
}

// A call on one descriptor that knobs may have changed.
template <auto kOurs, auto kKernels, class... Arguments>
auto on_descriptor_with_knobs(void* userdata, int number, Arguments... arguments) {
  heed_knobs(drill_of(userdata));
  return on_descriptor<kOurs, kKernels, Arguments...>(userdata, number, arguments...);
}

int do_socket(void* userdata, int domain, int type, int protocol) {
  Drill& drill = drill_of(userdata);
  heed_knobs(drill);
  const DrillCall call(drill);
  const int ours = lp_socket(domain, type, protocol);
  return ours < 0 ? -1 : drill.descriptors.enter(ours);
}

// Scripts bind to the address that packetdrill was told is local; it becomes ours with that.
int do_bind(void* userdata, int number, const sockaddr* address, socklen_t length) {
  sockaddr_in in{};
  if (address != nullptr && length >= sizeof in) {
    std::memcpy(&in, address, sizeof in);
    if (in.sin_family == AF_INET && in.sin_addr.s_addr != INADDR_ANY)
      drill_of(userdata).host.add_address(IpAddress::v4(ntohl(in.sin_addr.s_addr)));
  }
  return on_descriptor<lp_bind, ::bind>(userdata, number, address, length);
}

int do_accept(void* userdata, int number, sockaddr* address, socklen_t* length) {
  Drill& drill = drill_of(userdata);
  const int listener = drill.descriptors.find(number);
  const DrillCall call(drill);
  const int ours = lp_accept(listener < 0 ? kNobody : listener, address, length);
  return ours < 0 ? -1 : drill.descriptors.enter(ours);
}

int do_close(void* userdata, int number) {
  Drill& drill = drill_of(userdata);
  const int ours = drill.descriptors.remove(number);
  if (ours < 0) return static_cast<int>(syscall(SYS_close, number));
  const DrillCall call(drill);
  return lp_close(ours);
}

int do_fcntl(void* userdata, int number, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, int);
  va_end(arguments);
  Drill& drill = drill_of(userdata);
  const int ours = drill.descriptors.find(number);
  if (ours < 0) return ::fcntl(number, command, argument);
  const DrillCall call(drill);
  return lp_fcntl(ours, command, argument);
}

int do_ioctl(void* userdata, int number, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  int* argument = va_arg(arguments, int*);
  va_end(arguments);
  Drill& drill = drill_of(userdata);
  const int ours = drill.descriptors.find(number);
  if (ours < 0) return ::ioctl(number, request, argument);
  const DrillCall call(drill);
  return lp_ioctl(ours, request, argument);
}

int do_poll(void* userdata, pollfd* fds, nfds_t count, int timeout_ms) {
  Drill& drill = drill_of(userdata);
  std::vector<pollfd> ours(fds, fds + count);
  for (pollfd& fd : ours) {
    const int found = drill.descriptors.find(fd.fd);
    if (fd.fd >= 0) fd.fd = found < 0 ? kNobody : found;
  }
  const DrillCall call(drill);
  const int ready = lp_poll(ours.data(), count, timeout_ms);
  for (nfds_t i = 0; i < count; ++i) fds[i].revents = ours[i].revents;
  return ready;
}

// --- epoll ----------------------------------------------------------------------------------------------------------

int do_epoll_create(void* userdata, int size) {
  if (size <= 0) {
    errno = EINVAL;
    return -1;
  }
  Drill& drill = drill_of(userdata);
  const DrillCall call(drill);
  const int ours = lp_epoll_create1(0);
  return ours < 0 ? -1 : drill.descriptors.enter(ours);
}

// What a script puts in as data comes out as it was: packetdrill compares it with its own numbers.
int do_epoll_ctl(void* userdata, int number, int operation, int target, epoll_event* event) {
  Drill& drill = drill_of(userdata);
  const int epoll = drill.descriptors.find(number);
  const int fd = drill.descriptors.find(target);
  const DrillCall call(drill);
  return lp_epoll_ctl(epoll < 0 ? kNobody : epoll, operation, fd < 0 ? kNobody : fd, event);
}

int do_epoll_wait(void* userdata, int number, epoll_event* events, int count, int timeout_ms) {
  Drill& drill = drill_of(userdata);
  const int epoll = drill.descriptors.find(number);
  const DrillCall call(drill);
  return lp_epoll_wait(epoll < 0 ? kNobody : epoll, events, count, timeout_ms);
}

// --- the device and the clock ---------------------------------------------------------------------------------------

int netdev_send(void* userdata, const void* packet, size_t length) {
  drill_of(userdata).host.inject({static_cast<const std::byte*>(packet), length});
  return 0;
}

long long to_wall_us(Time t) { return to_us(t.time_since_epoch()); }

int netdev_receive(void* userdata, void* packet, size_t* length, long long* time_us) {
  const VirtualHost::Sent sent = drill_of(userdata).host.next_sent();
  *length = std::min(*length, sent.packet.size());
  if (*length > 0) std::memcpy(packet, sent.packet.data(), *length);
  *time_us = to_wall_us(sent.at);
  return 0;
}

int do_usleep(void* userdata, useconds_t us) {
  drill_of(userdata).host.advance(std::chrono::microseconds(us));
  return 0;
}

// packetdrill waits by asking again and again, so each answer is a little later than the one before.
int do_gettimeofday(void* userdata, timeval* now, struct timezone*) {
  const long long us = to_wall_us(drill_of(userdata).host.tick());
  *now = {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
  return 0;
}

// --- what Limpid has not --------------------------------------------------------------------------------------------

int do_pipe(void*, int fds[2]) { return ::pipe(fds); }
int no_splice(void*, int, loff_t*, int, loff_t*, size_t, unsigned) {
  errno = EINVAL;
  return -1;
}

void do_free(void*) {}

void fill_device(packetdrill_interface& table) {
  table.netdev_send = netdev_send;
  table.netdev_receive = netdev_receive;
  table.usleep = do_usleep;
  table.gettimeofday = do_gettimeofday;
}

void fill_calls(packetdrill_interface& table) {
  table.socket = do_socket;
  table.bind = do_bind;
  table.listen = on_descriptor_with_knobs<lp_listen, ::listen>;
  table.accept = do_accept;
  table.connect = on_descriptor_with_knobs<lp_connect, ::connect>;
  table.read = on_descriptor<lp_read, ::read>;
  table.readv = on_descriptor<lp_readv, ::readv>;
  table.recv = on_descriptor<lp_recv, ::recv>;
  table.recvfrom = on_descriptor<lp_recvfrom, ::recvfrom>;
  table.recvmsg = on_descriptor<lp_recvmsg, ::recvmsg>;
  table.write = on_descriptor<lp_write, ::write>;
  table.writev = on_descriptor<lp_writev, ::writev>;
  table.send = on_descriptor<lp_send, ::send>;
  table.sendto = on_descriptor_with_knobs<lp_sendto, ::sendto>;
  table.sendmsg = on_descriptor_with_knobs<lp_sendmsg, ::sendmsg>;
  table.fcntl = do_fcntl;
  table.ioctl = do_ioctl;
  table.close = do_close;
  table.shutdown = on_descriptor<lp_shutdown, ::shutdown>;
  table.getsockopt = on_descriptor<lp_getsockopt, ::getsockopt>;
  table.setsockopt = on_descriptor_with_knobs<lp_setsockopt, ::setsockopt>;
  table.poll = do_poll;
  table.epoll_create = do_epoll_create;
  table.epoll_ctl = do_epoll_ctl;
  table.epoll_wait = do_epoll_wait;
  table.pipe = do_pipe;
  table.splice = no_splice;
}

}  // namespace

Drill* current_drill() { return g_drill; }

}  // namespace limpid::packetdrill

// `flags` (--so_flags) may name the address that active opens come from.
void packetdrill_interface_init(const char* flags, packetdrill_interface* table) {
  using namespace limpid;
  using namespace limpid::packetdrill;
  const auto address = IpAddress::parse(flags != nullptr ? flags : "");
  g_drill = new Drill(address.value_or(IpAddress::v4(192, 168, 0, 1)));
  table->userdata = g_drill;
  table->free = do_free;
  fill_calls(*table);
  fill_device(*table);
}
