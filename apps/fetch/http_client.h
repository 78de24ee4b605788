// One HTTP/1.1 exchange from the client's side: a request out, a response in, on a connection that may serve again.
#pragma once

#include <cstdint>
#include <functional>
#include <limpid/socket.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace limpid::apps {

struct Url {
  SocketAddress server;
  std::string authority;  // "10.77.0.2:80", as in the Host field
  std::string target;     // "/file"
};

// "http://10.77.0.2:80/file"; nothing for other text. There is no name service here yet: addresses only.
std::optional<Url> parse_url(std::string_view text);

struct Response {
  int status = 0;
  std::string reason;
  uint64_t body_bytes = 0;
  bool keep_alive = false;
  std::optional<uint64_t> content_length;
};

struct ClientOptions {
  int timeout_seconds = 30;  // without progress; 0: for ever
  bool fast_open = false;    // TCP_FASTOPEN_CONNECT
};

class HttpClient {
 public:
  using Body = std::function<void(std::span<const std::byte>)>;

  HttpClient(const SocketCalls& calls, Url url, ClientOptions options)
      : calls_(calls), url_(std::move(url)), options_(options) {}

  // GET. Connects unless the last response left the connection open. The body is handed over piece by piece.
  // Throws std::system_error (the connection) or std::runtime_error (the response is not HTTP, or ends too early).
  Response get(const std::string& range, const Body& body);
  void close() { socket_ = {}; }
  const Socket& socket() const { return socket_; }

 private:
  void connect();
  std::string request(const std::string& range) const;

  const SocketCalls& calls_;
  Url url_;
  ClientOptions options_;
  Socket socket_;
};

}  // namespace limpid::apps
