#include "apps/common/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "drivers/netconfig.h"
#include "drivers/packet.h"
#include "drivers/tun.h"

namespace limpid {
namespace {

// --- entering ----------------------------------------------------------------------------------------------------

// Which step of entering failed, and why; zero error: all is well.
struct Failure {
  int error = 0;
  const char* step = "";
};

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The kernel takes an id map in one write.
int write_whole(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
  close(fd);
  return error;
}

// Root may keep all its ids, so that programs which change their user (nginx, setpriv) still can: the new map is the
// identity over what the current one holds ("inside outside count" a line).
std::string identity_of(const std::string& map) {
  std::istringstream lines(map);
  std::string result;
  uint64_t inside = 0;
  uint64_t outside = 0;
  uint64_t count = 0;
  while (lines >> inside >> outside >> count) result += fmt::format("{0} {0} {1}\n", inside, count);
  return result;
}

// A map of more than one's own id must be written from outside the new namespace: a helper stays behind and writes.
class MapWriter {
 public:
  MapWriter() {
    if (pipe2(go_, O_CLOEXEC) != 0) return;
    std::string path = fmt::format("/proc/{}/", getpid());
    std::string uids = identity_of(read_text("/proc/self/uid_map"));
    std::string gids = identity_of(read_text("/proc/self/gid_map"));
    helper_ = fork();
    if (helper_ != 0) return;
    close(go_[1]);
    char byte = 0;
    if (read(go_[0], &byte, 1) != 1) _exit(0);
    int error = write_whole(path + "gid_map", gids);
    if (error == 0) error = write_whole(path + "uid_map", uids);
    _exit(error);
  }
  ~MapWriter() { finish(false); }

  int write_maps() { return finish(true); }

 private:
  int finish(bool go) {
    if (helper_ <= 0) return EAGAIN;
    if (go && write(go_[1], "g", 1) != 1) return errno;
    close(go_[0]);
    close(go_[1]);
    int status = 0;
    pid_t helper = std::exchange(helper_, 0);
    while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
  }

  int go_[2] = {-1, -1};
  pid_t helper_ = 0;
};

int map_own_ids(uid_t uid, gid_t gid) {
  int error = write_whole("/proc/self/setgroups", "deny");  // user_namespaces(7): before an unprivileged gid map
  if (error == 0 || error == ENOENT) error = write_whole("/proc/self/gid_map", fmt::format("0 {} 1\n", gid));
  if (error == 0) error = write_whole("/proc/self/uid_map", fmt::format("0 {} 1\n", uid));
  return error;
}

// The steps themselves, on the calling process.
Failure enter(bool user_namespace) {
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (user_namespace && uid == 0) {
    MapWriter writer;
    if (unshare(CLONE_NEWUSER) != 0) return {errno, "user namespace"};
    if (int error = writer.write_maps(); error != 0) return {error, "user id map"};
  } else if (user_namespace) {
    if (unshare(CLONE_NEWUSER) != 0) return {errno, "user namespace"};
    if (int error = map_own_ids(uid, gid); error != 0) return {error, "user id map"};
  }
  if (unshare(CLONE_NEWNET) != 0) return {errno, "network namespace"};
  try {
    set_interface_up("lo", true);
  } catch (const DeviceError& error) {
    return {error.error(), "loopback in the new network namespace"};
  }
  return {};
}

// Entering cannot be taken back, so a child goes first and tells.
Failure rehearse(bool user_namespace) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return {errno, "pipe"};
  pid_t child = fork();
  if (child < 0) return {errno, "fork"};
  if (child == 0) {
    Failure failure = enter(user_namespace);  // `step` is a literal: the same address in parent and child
    _exit(write(report[1], &failure, sizeof failure) == sizeof failure ? 0 : 1);
  }
  close(report[1]);
  Failure failure;
  if (read(report[0], &failure, sizeof failure) != sizeof failure) failure = {EIO, "rehearsal"};
  close(report[0]);
  waitpid(child, nullptr, 0);
  return failure;
}

// --- saying why not ------------------------------------------------------------------------------------------------

bool sysctl_is(const std::string& path, char value) {
  std::string text = read_text("/proc/sys/" + path);
  return !text.empty() && text[0] == value;
}

DeviceError explain(const Failure& failure) {
  std::string cause = fmt::format("no private network: {}: {}", failure.step, errno_text(failure.error));
  if (sysctl_is("user/max_user_namespaces", '0'))
    return {failure.error, cause + "; user.max_user_namespaces is 0",
            "as root: sysctl user.max_user_namespaces=10000, or run this as root"};
  if (sysctl_is("kernel/unprivileged_userns_clone", '0'))
    return {failure.error, cause + "; kernel.unprivileged_userns_clone is 0",
            "as root: sysctl kernel.unprivileged_userns_clone=1, or run this as root"};
  if (sysctl_is("kernel/apparmor_restrict_unprivileged_userns", '1'))
    return {failure.error, cause + "; AppArmor restricts user namespaces of ordinary users",
            "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run this as root"};
  if (failure.error == ENOSPC)
    return {failure.error, cause + "; a limit in /proc/sys/user is reached",
            "close other sandboxes, or raise user.max_user_namespaces and user.max_net_namespaces as root"};
  if (failure.error == EINVAL || failure.error == ENOSYS)
    return {failure.error, cause + "; the kernel was built without it",
            "run this as root, or name a device by --tun NAME"};
  return {failure.error, cause + "; a container's seccomp filter or a chroot forbids it",
          "run this as root with CAP_SYS_ADMIN (docker: --privileged), or name a device by --tun NAME or --fd N"};
}

// --- the cable -----------------------------------------------------------------------------------------------------

// 10.77.N.0/24, or another network of that size where the two sides of a wire must differ ("10.78").
IpAddress address_on(unsigned cable, uint8_t host) {
  const char* network = getenv(kPrivateNetworkVariable);
  const bool named = network != nullptr && std::string_view(network).starts_with("10.");
  const auto second = static_cast<uint8_t>(named ? std::atoi(network + 3) : 77);
  return IpAddress::v4(10, second, static_cast<uint8_t>(cable), host);
}

constexpr int kPrefix = 24;
// A long queue: while a debugger holds us the kernel's end keeps sending, and 500 frames fill in a moment.
constexpr uint32_t kTransmitQueue = 10'000;

// No router solicitations between the packets that we came to see. Where /proc/sys is read-only (some containers) they
// stay, and do no harm.
void quiet(const std::string& interface) {
  try {
    disable_ipv6(interface);
  } catch (const DeviceError&) {
  }
}

void set_up_kernel_end(const std::string& interface, unsigned subnet) {
  quiet(interface);
  add_interface_address(interface, address_on(subnet, 1), kPrefix);
  set_transmit_queue(interface, kTransmitQueue);
  set_interface_up(interface, true);
}

constexpr unsigned kCables = 250;

// Cable N is interface tunN, tapN or limpidN, on subnet 10.77.N.
bool is_taken(unsigned number) {
  return interface_exists(fmt::format("tun{}", number)) || interface_exists(fmt::format("tap{}", number)) ||
         interface_exists(fmt::format("limpid{}", number));
}

Cable finish_cable(std::unique_ptr<Device> device, std::string way, const std::string& interface, unsigned subnet) {
  set_up_kernel_end(interface, subnet);
  return {.device = std::move(device),
          .more_queues = {},
          .way = std::move(way),
          .address = fmt::format("{}/{}", address_on(subnet, 2).to_string(), kPrefix),
          .gateway = address_on(subnet, 1).to_string(),
          .kernel_interface = interface};
}

// The first queue carries the cable's name, the others go with it.
std::unique_ptr<Device> take_queues(std::vector<std::unique_ptr<TunDevice>> queues,
                                    std::vector<std::unique_ptr<Device>>& others) {
  for (size_t i = 1; i < queues.size(); ++i) others.push_back(std::move(queues[i]));
  return std::move(queues.front());
}

Cable make_tun(TunKind kind, bool offloads, uint16_t queues) {
  const char* sort = kind == TunKind::tun ? "TUN" : "TAP";
  for (unsigned number = 0; number < kCables; ++number) {
    if (is_taken(number)) continue;
    TunOptions options;
    options.kind = kind;
    options.offloads = offloads;
    options.queues = queues;
    options.name = fmt::format("{}{}", kind == TunKind::tun ? "tun" : "tap", number);
    try {
      std::vector<std::unique_ptr<Device>> others;
      auto device = take_queues(open_tun_queues(options), others);
      Cable cable =
          finish_cable(std::move(device), fmt::format("{} device {}", sort, options.name), options.name, number);
      cable.more_queues = std::move(others);
      return cable;
    } catch (const DeviceError& error) {
      if (error.error() != EBUSY) throw;  // another program of this network took the name first
    }
  }
  throw DeviceError(EBUSY, "all device numbers of this private network are taken", "end some of the programs in it");
}

// The kernel's end gives and takes super-segments of TCP as a veth does anyhow; but we do not cut those of UDP.
void agree_on_offloads(const PacketDevice& device, const std::string& ours, const std::string& theirs) {
  if (device.offloads()) return switch_udp_segmentation_off(theirs);
  switch_offloads_off(ours);
  switch_offloads_off(theirs);
}

Cable make_veth(bool offloads) {
  for (unsigned number = 0; number < kCables; ++number) {
    if (is_taken(number)) continue;
    PacketOptions options;
    options.interface = fmt::format("limpid{}", number);
    std::string theirs = fmt::format("kern{}", number);
    try {
      add_veth_pair(options.interface, theirs);
    } catch (const DeviceError& error) {
      if (error.error() == EEXIST) continue;
      throw;
    }
    quiet(options.interface);
    set_interface_up(options.interface, true);
    options.offloads = offloads;
    auto device = std::make_unique<PacketDevice>(options);
    agree_on_offloads(*device, options.interface, theirs);
    Cable cable = finish_cable(std::move(device), fmt::format("veth pair {} and AF_PACKET", theirs), theirs, number);
    cable.stays = true;
    wait_until_running(theirs, 3s);
    wait_until_running(options.interface, 3s);
    return cable;
  }
  throw DeviceError(EBUSY, "all veth numbers of this private network are taken", "end some of the programs in it");
}

// --- children --------------------------------------------------------------------------------------------------------

// fork() with flags. Only the kernel's part: the child must keep to async-signal-safe calls until it execs.
pid_t raw_clone(unsigned long flags) { return static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0)); }

[[noreturn]] void exec_or_die(char* const* arguments) {
  // What the parent handles or ignores must not reach the program.
  for (int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGCHLD, SIGTTOU}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvp(arguments[0], arguments);
  const char text[] = "limpid: cannot start the program: not found, or not executable\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(126);
  _exit(127);
}

// Process 1 of the new process namespace: starts the program, buries orphans, and ends when the program ends. The
// kernel then ends whatever is left in the namespace.
[[noreturn]] void be_init(char* const* arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A /proc that shows this namespace. Refused in some containers; then ps shows too much, and nothing else is lost.
  mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr);
  mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  // Ctrl-C is the program's to answer; we follow its end.
  for (int number : {SIGINT, SIGQUIT, SIGHUP, SIGTTOU}) signal(number, SIG_IGN);
  pid_t program = raw_clone(0);
  if (program < 0) _exit(126);
  if (program == 0) exec_or_die(arguments);
  for (;;) {
    int status = 0;
    pid_t ended = wait(&status);
    if (ended < 0 && errno != EINTR) _exit(126);
    if (ended == program) _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
}

}  // namespace

std::string enter_private_network() {
  if (inside_private_network()) return "the private network that is there";
  Failure as_user = rehearse(true);
  if (as_user.error == 0) {
    Failure now = enter(true);
    if (now.error != 0) throw explain(now);
    setenv(kPrivateNetworkVariable, "1", 1);
    return "a user namespace";
  }
  if (rehearse(false).error != 0) throw explain(as_user);
  Failure now = enter(false);
  if (now.error != 0) throw explain(now);
  setenv(kPrivateNetworkVariable, "1", 1);
  return fmt::format("root (no user namespace: {})", errno_text(as_user.error));
}

bool inside_private_network() { return getenv(kPrivateNetworkVariable) != nullptr; }

Cable make_cable(const std::string& prefer, bool offloads, uint16_t queues) {
  if (prefer == "veth" && queues > 1)
    throw DeviceError(0, "several queues of a veth are not built", "take a TUN (--device tun)");
  if (prefer == "veth") return make_veth(offloads);
  if (prefer == "tap") return make_tun(TunKind::tap, offloads, queues);
  try {
    return make_tun(TunKind::tun, offloads, queues);
  } catch (const DeviceError& no_tun) {
    if (prefer == "tun" || queues > 1) throw;
    try {
      Cable cable = make_veth(offloads);
      cable.way += fmt::format(" (no TUN: {})", no_tun.cause());
      return cable;
    } catch (const DeviceError& no_veth) {
      throw DeviceError(no_veth.error(), fmt::format("no device: {}; {}", no_tun.cause(), no_veth.cause()),
                        no_tun.cure());
    }
  }
}

pid_t spawn_inside(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = raw_clone(CLONE_NEWPID | CLONE_NEWNS);
  if (child == 0) be_init(arguments.data());
  if (child > 0) return child;
  // No process namespace to be had: the child at least ends with us.
  child = raw_clone(0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exec_or_die(arguments.data());
  }
  if (child < 0) throw DeviceError(errno, "fork: " + errno_text(errno), "end some processes");
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 127;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace limpid
