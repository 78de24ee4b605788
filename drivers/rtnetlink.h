// One rtnetlink request and its acknowledgment (rtnetlink(7)): what drivers/netconfig.cc builds its calls from.
//
//   | nlmsghdr | ifinfomsg, ifaddrmsg or rtmsg | attribute: length, type, value | attribute { attribute … } | …
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace limpid {

class NetlinkRequest {
 public:
  // Flags beside NLM_F_REQUEST | NLM_F_ACK, such as NLM_F_CREATE | NLM_F_EXCL.
  NetlinkRequest(uint16_t type, uint16_t flags);

  template <class T>
  void append(const T& fixed_part) {
    append_bytes(&fixed_part, sizeof fixed_part);
  }
  void attribute(uint16_t type, const void* value, size_t length);
  void attribute(uint16_t type, std::string_view text);  // with its terminating zero
  void attribute(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }
  // Attributes until end() lie inside this one.
  size_t begin(uint16_t type);
  void end(size_t begun);

  // Sends it and waits for the answer; 0, or the errno that the kernel answers.
  int run();
  // Sends a question (RTM_GETLINK), and returns the answer's message; empty when the kernel refuses.
  std::vector<std::byte> ask();

 private:
  std::vector<std::byte> exchange(int& error);

  void append_bytes(const void* bytes, size_t length);
  std::vector<std::byte> message_;
};

}  // namespace limpid
