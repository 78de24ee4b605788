// What packetdrill does past its interface, by libc's own calls: it asks for TCP_INFO and its like, closes what a
// script has left open, and sends files. Preloaded (LD_PRELOAD), the object answers these for its own descriptors.
#include <dlfcn.h>
#include <sys/sendfile.h>

#include <vector>

#include "tests/packetdrill/drill.h"
#include "tests/packetdrill/interface.h"

namespace {

using limpid::packetdrill::current_drill;
using limpid::packetdrill::Drill;
using limpid::packetdrill::DrillCall;

// The next definition of a function behind ours: libc's.
template <class Function>
Function* behind(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int ours(int number) {
  Drill* drill = current_drill();
  return drill == nullptr ? -1 : drill->descriptors.find(number);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int getsockopt(int number, int level, int name, void* value,
                                                      socklen_t* length) noexcept {
  const int fd = ours(number);
  if (fd < 0) return behind<decltype(getsockopt)>("getsockopt")(number, level, name, value, length);
  const DrillCall call(*current_drill());
  return lp_getsockopt(fd, level, name, value, length);
}

__attribute__((visibility("default"))) int close(int number) {
  if (ours(number) < 0) return behind<decltype(close)>("close")(number);
  const int fd = current_drill()->descriptors.remove(number);
  const DrillCall call(*current_drill());
  return lp_close(fd);
}

// From a file into one of our sockets.
__attribute__((visibility("default"))) ssize_t sendfile(int to, int from, off_t* offset, size_t count) noexcept {
  const int fd = ours(to);
  if (fd < 0) return behind<decltype(sendfile)>("sendfile")(to, from, offset, count);
  std::vector<std::byte> bytes(count);
  const ssize_t got = offset != nullptr ? pread(from, bytes.data(), count, *offset) : read(from, bytes.data(), count);
  if (got <= 0) return got;
  const DrillCall call(*current_drill());
  const ssize_t sent = lp_send(fd, bytes.data(), static_cast<size_t>(got), 0);
  if (sent > 0 && offset != nullptr) *offset += sent;
  return sent;
}

__attribute__((visibility("default"))) ssize_t sendfile64(int to, int from, off64_t* offset, size_t count) noexcept {
  return sendfile(to, from, offset, count);
}

}  // extern "C"
