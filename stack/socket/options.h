// getsockopt and setsockopt: one file a level. Each answers 0 or an errno; ENOPROTOOPT: no such option.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "stack/socket/call.h"

namespace limpid {

// The value that a caller gives: so many bytes of it.
class OptionIn {
 public:
  OptionIn(const void* value, socklen_t length) : value_(value), length_(length) {}
  // EINVAL: too short for a T.
  template <class T>
  int read(T& into) const {
    if (length_ < sizeof into) return EINVAL;
    std::memcpy(&into, value_, sizeof into);
    return 0;
  }
  // IP options may also be given as a single byte (ip(7)).
  int read_int_or_byte(int& into) const {
    if (length_ >= sizeof into) return read(into);
    unsigned char byte = 0;
    if (const int error = read(byte); error != 0) return error;
    into = byte;
    return 0;
  }
  const char* text() const { return static_cast<const char*>(value_); }
  socklen_t length() const { return length_; }

 private:
  const void* value_;
  socklen_t length_;
};

// The room that a caller has for a value: filled as far as it reaches, and told its length.
class OptionOut {
 public:
  OptionOut(void* value, socklen_t* length) : value_(value), length_(length) {}
  int write(const void* bytes, size_t size) {
    const size_t n = std::min<size_t>(*length_, size);
    if (n > 0) std::memcpy(value_, bytes, n);
    *length_ = static_cast<socklen_t>(n);
    return 0;
  }
  size_t room() const { return *length_; }
  int write_nothing() {
    *length_ = 0;
    return 0;
  }
  template <class T>
  int write(const T& value) {
    return write(&value, sizeof value);
  }
  int write_flag(bool on) { return write(int{on}); }

 private:
  void* value_;
  socklen_t* length_;
};

// What a stream socket's options are now: the stack's, or those kept for the day it gets a connection.
TcpOptions tcp_options_of(Hold& hold, const OpenSocket& socket);
void set_tcp_options(Hold& hold, OpenSocket& socket, const TcpOptions& options);
void set_udp_options(Hold& hold, OpenSocket& socket);

int set_socket_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in);
int get_socket_option(Hold& hold, OpenSocket& socket, int name, OptionOut& out);
int set_ip_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in);
int get_ip_option(Hold& hold, OpenSocket& socket, int name, OptionOut& out);
// The part of IPPROTO_IP that is about multicast.
bool is_multicast_option(int name);
int set_multicast_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in);
int get_multicast_option(const OpenSocket& socket, int name, OptionOut& out);
int set_tcp_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in);
int get_tcp_option(Hold& hold, OpenSocket& socket, int name, OptionOut& out);

// TCP_INFO in Linux's layout, of any length.
int get_tcp_info(Hold& hold, const OpenSocket& socket, OptionOut& out);
int get_congestion_info(Hold& hold, const OpenSocket& socket, OptionOut& out);

}  // namespace limpid
