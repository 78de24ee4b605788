#include "apps/fetch/http_client.h"

#include <fmt/core.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>
#include <stdexcept>
#include <vector>

namespace limpid::apps {
namespace {

namespace http = boost::beast::http;
using Parser = http::response_parser<http::buffer_body>;

constexpr size_t kPiece = 64 * 1024;

// Gives bytes to the parser until it has had them all, or the response is complete; body bytes go on to `body`.
// Returns how many were used: the rest waits for more to come behind it.
size_t parse(Parser& parser, std::string_view input, uint64_t& body_bytes, const HttpClient::Body& body) {
  std::array<char, kPiece> piece;
  size_t used = 0;
  while (used < input.size() && !parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    parser.get().body().more = true;
    boost::system::error_code error;
    used += parser.put(boost::asio::buffer(input.data() + used, input.size() - used), error);
    const size_t produced = piece.size() - parser.get().body().size;
    if (produced > 0) body(std::as_bytes(std::span(piece).first(produced)));
    body_bytes += produced;
    if (error == http::error::need_more) break;
    if (error && error != http::error::need_buffer)
      throw std::runtime_error("not an HTTP response: " + error.message());
  }
  return used;
}

Response summary(const Parser& parser, uint64_t body_bytes) {
  const auto& message = parser.get();
  Response response{.status = static_cast<int>(message.result_int()),
                    .reason = std::string(message.reason()),
                    .body_bytes = body_bytes,
                    .keep_alive = parser.keep_alive(),
                    .content_length = {}};
  if (const auto length = parser.content_length()) response.content_length = *length;
  return response;
}

}  // namespace

std::optional<Url> parse_url(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (text.starts_with(kScheme)) {
    text.remove_prefix(kScheme.size());
  } else if (text.contains("://")) {
    return {};
  }
  const size_t slash = text.find('/');
  const std::string_view authority = text.substr(0, slash);
  const auto server = SocketAddress::parse(authority, 80);
  if (!server || authority.empty()) return {};
  const std::string_view target = slash == std::string_view::npos ? "/" : text.substr(slash);
  return Url{.server = *server, .authority = std::string(authority), .target = std::string(target)};
}

void HttpClient::connect() {
  socket_ = Socket::stream(calls_);
  if (options_.timeout_seconds > 0)
    socket_.receive_timeout(std::chrono::seconds(options_.timeout_seconds))
        .send_timeout(std::chrono::seconds(options_.timeout_seconds));
  if (options_.fast_open) socket_.set_option(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
  try {
    socket_.connect(url_.server);
  } catch (const std::system_error& e) {
    // So does Linux say that SO_SNDTIMEO was over before the connection stood.
    if (e.code() != std::errc::operation_in_progress) throw;
    throw std::system_error(ETIMEDOUT, std::generic_category(), "connect");
  }
}

std::string HttpClient::request(const std::string& range) const {
  std::string text = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: limpid-fetch\r\nAccept: */*\r\n",
                                 url_.target, url_.authority);
  if (!range.empty()) text += fmt::format("Range: bytes={}\r\n", range);
  return text + "\r\n";
}

Response HttpClient::get(const std::string& range, const Body& body) {
  if (!socket_) connect();
  socket_.send(request(range));
  Parser parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());  // boost::none means 0 to some versions
  parser.eager(true);
  uint64_t body_bytes = 0;
  std::string input;  // received, not yet parsed
  std::vector<std::byte> buffer(kPiece);
  while (!parser.is_done()) {
    const auto received = socket_.try_receive(buffer);  // the socket blocks: no answer means SO_RCVTIMEO is over
    if (!received) throw std::system_error(ETIMEDOUT, std::generic_category(), "no answer");
    const size_t n = *received;
    if (n == 0) {
      // The end of the stream ends a response without Content-Length, and breaks off any other.
      boost::system::error_code error;
      parser.put_eof(error);
      if (error || !parser.is_done())
        throw std::runtime_error("the server closed the connection before the response's end");
      break;
    }
    input.append(reinterpret_cast<const char*>(buffer.data()), n);
    input.erase(0, parse(parser, input, body_bytes, body));
  }
  const Response response = summary(parser, body_bytes);
  if (!response.keep_alive || parser.need_eof()) close();
  return response;
}

}  // namespace limpid::apps
