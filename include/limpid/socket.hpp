// socket.hpp: a small C++ face over the socket calls: a Socket that closes itself, addresses that parse and print, and
// errors as std::system_error. Works on Limpid's sockets and on the kernel's (limpid/calls.h), header only.
//
//     limpid::Socket server = limpid::Socket::stream(calls);
//     server.reuse_address().bind({"10.77.0.2", 80}).listen(64);
//     auto [client, peer] = server.accept();
#pragma once

#include <arpa/inet.h>
#include <limpid/calls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <limpid/loan.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace limpid {

// An IPv4 address and a port, in struct sockaddr_in's clothes.
class SocketAddress {
 public:
  SocketAddress() { address_.sin_family = AF_INET; }
  explicit SocketAddress(const sockaddr_in& raw) : address_(raw) {}
  // "10.77.0.2", "localhost", or "" (any address). Throws std::invalid_argument for other text.
  SocketAddress(std::string_view host, uint16_t port) : SocketAddress() {
    address_.sin_port = htons(port);
    const std::string text = host == "localhost" ? "127.0.0.1" : std::string(host);
    if (!text.empty() && inet_pton(AF_INET, text.c_str(), &address_.sin_addr) != 1)
      throw std::invalid_argument("not an IPv4 address: " + text);
  }

  // "10.77.0.2:80", ":80" or "80" (any address); "10.77.0.2" when there is a default port. Nothing for other text.
  static std::optional<SocketAddress> parse(std::string_view text, std::optional<uint16_t> default_port = {}) {
    const size_t colon = text.rfind(':');
    std::string_view host = colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
    std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
    if (colon == std::string_view::npos && default_port &&
        text.find_first_not_of("0123456789") != std::string_view::npos) {
      host = text;
      port = {};
    }
    uint16_t number = default_port.value_or(0);
    if (!port.empty()) {
      const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
      if (error != std::errc{} || end != port.data() + port.size()) return {};
    } else if (!default_port) {
      return {};
    }
    try {
      return SocketAddress(host, number);
    } catch (const std::invalid_argument&) {
      return {};
    }
  }

  std::string host() const {
    char text[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &address_.sin_addr, text, sizeof text);
    return text;
  }
  uint16_t port() const { return ntohs(address_.sin_port); }
  std::string to_string() const { return host() + ":" + std::to_string(port()); }

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&address_); }
  sockaddr* data() { return reinterpret_cast<sockaddr*>(&address_); }
  const sockaddr_in& raw() const { return address_; }
  static constexpr socklen_t size() { return sizeof(sockaddr_in); }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.address_.sin_addr.s_addr == b.address_.sin_addr.s_addr && a.address_.sin_port == b.address_.sin_port;
  }

 private:
  sockaddr_in address_{};
};

// A descriptor that is closed with its owner. Move-only. Methods throw std::system_error with errno; those named try_
// return nothing where a non-blocking call would have had to wait.
class Socket {
 public:
  Socket() = default;
  Socket(const SocketCalls& calls, int fd) : calls_(&calls), fd_(fd) {}
  Socket(Socket&& other) noexcept : calls_(other.calls_), fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(calls_, other.calls_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) calls_->close(fd_);
  }

  static Socket open(const SocketCalls& calls, int type, int protocol = 0) {
    return Socket(calls, check(calls.socket(AF_INET, type, protocol), "socket"));
  }
  static Socket stream(const SocketCalls& calls) { return open(calls, SOCK_STREAM); }
  static Socket datagram(const SocketCalls& calls) { return open(calls, SOCK_DGRAM); }

  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  const SocketCalls& calls() const { return *calls_; }
  int release() { return std::exchange(fd_, -1); }
  // As the destructor, but tells of errors.
  void close() { check(calls_->close(release()), "close"); }

  Socket& bind(const SocketAddress& local) {
    check(calls_->bind(fd_, local.data(), local.size()), "bind");
    return *this;
  }
  Socket& listen(int backlog = SOMAXCONN) {
    check(calls_->listen(fd_, backlog), "listen");
    return *this;
  }
  Socket& connect(const SocketAddress& remote) {
    check(calls_->connect(fd_, remote.data(), remote.size()), "connect");
    return *this;
  }
  std::pair<Socket, SocketAddress> accept() {
    SocketAddress peer;
    socklen_t length = SocketAddress::size();
    const int fd = check(calls_->accept(fd_, peer.data(), &length), "accept");
    return {Socket(*calls_, fd), peer};
  }
  std::optional<std::pair<Socket, SocketAddress>> try_accept() {
    SocketAddress peer;
    socklen_t length = SocketAddress::size();
    const int fd = calls_->accept(fd_, peer.data(), &length);
    if (fd < 0 && would_wait()) return {};
    return {{Socket(*calls_, check(fd, "accept")), peer}};
  }

  // How many bytes were taken; a blocking socket takes all. A broken connection throws (EPIPE), it raises no signal.
  size_t send(std::span<const std::byte> data, int flags = 0) {
    return checked_size(calls_->send(fd_, data.data(), data.size(), flags | MSG_NOSIGNAL), "send");
  }
  size_t send(std::string_view text, int flags = 0) { return send(std::as_bytes(std::span(text)), flags); }
  std::optional<size_t> try_send(std::span<const std::byte> data, int flags = 0) {
    const ssize_t n = calls_->send(fd_, data.data(), data.size(), flags | MSG_NOSIGNAL);
    if (n < 0 && would_wait()) return {};
    return checked_size(n, "send");
  }
  size_t send_to(std::span<const std::byte> data, const SocketAddress& to, int flags = 0) {
    return checked_size(calls_->sendto(fd_, data.data(), data.size(), flags, to.data(), to.size()), "sendto");
  }

  // How many bytes came; 0: end of stream.
  size_t receive(std::span<std::byte> into, int flags = 0) {
    return checked_size(calls_->recv(fd_, into.data(), into.size(), flags), "recv");
  }
  std::optional<size_t> try_receive(std::span<std::byte> into, int flags = 0) {
    const ssize_t n = calls_->recv(fd_, into.data(), into.size(), flags);
    if (n < 0 && would_wait()) return {};
    return checked_size(n, "recv");
  }
  std::pair<size_t, SocketAddress> receive_from(std::span<std::byte> into, int flags = 0) {
    SocketAddress from;
    socklen_t length = SocketAddress::size();
    const size_t n =
        checked_size(calls_->recvfrom(fd_, into.data(), into.size(), flags, from.data(), &length), "recvfrom");
    return {n, from};
  }

  // Without a copy (limpid/loan.hpp): room for at most so many bytes, and bytes that have come.
  Reservation reserve(size_t most, int flags = 0) {
    lp_loan* loan = nullptr;
    checked_size(calls_->send_reserve(fd_, &loan, most, flags | MSG_NOSIGNAL), "send_reserve");
    return Reservation(*calls_, loan);
  }
  std::optional<Reservation> try_reserve(size_t most, int flags = 0) {
    lp_loan* loan = nullptr;
    const ssize_t n = calls_->send_reserve(fd_, &loan, most, flags | MSG_NOSIGNAL);
    if (n < 0 && would_wait()) return {};
    checked_size(n, "send_reserve");
    return Reservation(*calls_, loan);
  }
  Borrowed borrow(size_t most, int flags = 0) {
    lp_loan* loan = nullptr;
    checked_size(calls_->recv_borrow(fd_, &loan, most, flags), "recv_borrow");
    return Borrowed(*calls_, loan);
  }
  std::optional<Borrowed> try_borrow(size_t most, int flags = 0) {
    lp_loan* loan = nullptr;
    const ssize_t n = calls_->recv_borrow(fd_, &loan, most, flags);
    if (n < 0 && would_wait()) return {};
    checked_size(n, "recv_borrow");
    return Borrowed(*calls_, loan);
  }

  void shutdown_send() { check(calls_->shutdown(fd_, SHUT_WR), "shutdown"); }

  SocketAddress local() const {
    SocketAddress a;
    socklen_t length = SocketAddress::size();
    check(calls_->getsockname(fd_, a.data(), &length), "getsockname");
    return a;
  }
  SocketAddress peer() const {
    SocketAddress a;
    socklen_t length = SocketAddress::size();
    check(calls_->getpeername(fd_, a.data(), &length), "getpeername");
    return a;
  }

  template <class T>
  Socket& set_option(int level, int name, const T& value) {
    check(calls_->setsockopt(fd_, level, name, &value, sizeof value), "setsockopt");
    return *this;
  }
  template <class T = int>
  T option(int level, int name) const {
    T value{};
    socklen_t length = sizeof value;
    check(calls_->getsockopt(fd_, level, name, &value, &length), "getsockopt");
    return value;
  }
  Socket& reuse_address() { return set_option(SOL_SOCKET, SO_REUSEADDR, 1); }
  Socket& no_delay() { return set_option(IPPROTO_TCP, TCP_NODELAY, 1); }
  Socket& receive_timeout(std::chrono::microseconds t) { return set_option(SOL_SOCKET, SO_RCVTIMEO, to_timeval(t)); }
  Socket& send_timeout(std::chrono::microseconds t) { return set_option(SOL_SOCKET, SO_SNDTIMEO, to_timeval(t)); }
  Socket& non_blocking(bool on = true) {
    int value = on ? 1 : 0;
    check(calls_->ioctl(fd_, kFionbio, &value), "ioctl");
    return *this;
  }

  static int check(int result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), call);
    return result;
  }

 private:
  static constexpr unsigned long kFionbio = 0x5421;  // FIONBIO, without <sys/ioctl.h> and its macros

  static bool would_wait() { return errno == EAGAIN || errno == EWOULDBLOCK; }
  static size_t checked_size(ssize_t result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), call);
    return static_cast<size_t>(result);
  }
  static timeval to_timeval(std::chrono::microseconds t) {
    return {.tv_sec = static_cast<time_t>(t.count() / 1'000'000),
            .tv_usec = static_cast<suseconds_t>(t.count() % 1'000'000)};
  }

  const SocketCalls* calls_ = nullptr;
  int fd_ = -1;
};

}  // namespace limpid
