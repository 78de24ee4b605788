#include "apps/httpd/conversation.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>
#include <optional>
#include <string_view>

namespace limpid::apps {
namespace {

namespace http = boost::beast::http;

constexpr uint64_t kRequestBodyLimit = 65'536;  // no method of ours has a use for one
constexpr uint32_t kRequestHeaderLimit = 16 * 1024;

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

struct RangeAsked {
  enum class Kind { none, satisfiable, unsatisfiable };
  Kind kind = Kind::none;
  uint64_t first = 0;
  uint64_t length = 0;
};

// RFC 9110 §14.1.2. Several ranges, or a field that we do not understand, are answered with the whole (§14.2).
RangeAsked parse_range(std::string_view field, uint64_t size) {
  if (!field.starts_with("bytes=") || field.contains(',')) return {};
  field.remove_prefix(6);
  const size_t dash = field.find('-');
  if (dash == std::string_view::npos) return {};
  const auto first = number(field.substr(0, dash));
  const auto last = number(field.substr(dash + 1));
  if (dash == 0) {  // "-n": the last n
    if (!last) return {};
    const uint64_t length = std::min(*last, size);
    if (length == 0) return {.kind = RangeAsked::Kind::unsatisfiable};
    return {.kind = RangeAsked::Kind::satisfiable, .first = size - length, .length = length};
  }
  if (!first || (!last && dash + 1 != field.size()) || (last && *last < *first)) return {};
  if (*first >= size) return {.kind = RangeAsked::Kind::unsatisfiable};
  const uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return {.kind = RangeAsked::Kind::satisfiable, .first = *first, .length = end - *first + 1};
}

int status_of(const boost::system::error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

void Conversation::received(std::span<const std::byte> bytes) {
  input_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (wants_input()) answer_next();
}

// Parses the first request in input_, if all of it is there, and begins its response.
void Conversation::answer_next() {
  http::request_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(kRequestHeaderLimit);
  parser.body_limit(kRequestBodyLimit);
  boost::system::error_code error;
  size_t used = 0;
  while (used < input_.size() && !parser.is_done()) {
    used += parser.put(boost::asio::buffer(input_.data() + used, input_.size() - used), error);
    if (error == http::error::need_more) return;  // the rest has not come yet
    if (error) return answer_with_status(status_of(error), "", false, false);
  }
  if (!parser.is_done()) return;
  input_.erase(0, used);
  answer(parser.get());
}

template <class Request>
void Conversation::answer(const Request& request) {
  const bool keep_alive = request.keep_alive();
  const bool head = request.method() == http::verb::head;
  if (!head && request.method() != http::verb::get)
    return answer_with_status(405, "Allow: GET, HEAD\r\n", false, keep_alive);
  if (request.version() >= 11 && request.count(http::field::host) != 1)  // RFC 9112 §3.2
    return answer_with_status(400, "", head, false);
  // A Range field has a meaning for GET only (RFC 9110 §14.2).
  const std::string range = head ? std::string() : std::string(request[http::field::range]);
  answer_found(site_->find({request.target().data(), request.target().size()}), range, head, keep_alive);
}

void Conversation::answer_found(Found found, const std::string& range, bool head, bool keep_alive) {
  switch (found.kind) {
    case Found::Kind::not_found:
      return answer_with_status(404, "", head, keep_alive);
    case Found::Kind::refused:
      return answer_with_status(403, "", head, keep_alive);
    case Found::Kind::redirect:
      return answer_with_status(301, fmt::format("Location: {}\r\n", found.location), head, keep_alive);
    case Found::Kind::content:
      break;
  }
  const uint64_t size = found.content->size();
  const RangeAsked asked = parse_range(range, size);
  if (asked.kind == RangeAsked::Kind::unsatisfiable)
    return answer_with_status(416, fmt::format("Content-Range: bytes */{}\r\n", size), head, keep_alive);
  std::string headers = fmt::format("Content-Type: {}\r\nAccept-Ranges: bytes\r\n", found.type);
  const bool partial = asked.kind == RangeAsked::Kind::satisfiable;
  rest_ = partial ? Range{asked.first, asked.length} : Range{0, size};
  if (partial)
    headers += fmt::format("Content-Range: bytes {}-{}/{}\r\n", asked.first, asked.first + asked.length - 1, size);
  headers += fmt::format("Content-Length: {}\r\n", rest_.length);
  if (!head && rest_.length > 0) content_ = std::move(found.content);
  begin_response(partial ? 206 : 200, headers, keep_alive);
}

void Conversation::answer_with_status(int status, const std::string& more_headers, bool head, bool keep_alive) {
  const std::string_view reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))).data();
  const std::string text = fmt::format("{} {}\n", status, reason);
  begin_response(status, fmt::format("{}Content-Type: text/plain\r\nContent-Length: {}\r\n", more_headers, text.size()),
                 keep_alive);
  const auto bytes = std::as_bytes(std::span(text));
  if (!head) output_.insert(output_.end(), bytes.begin(), bytes.end());
}

// No Date field: the host's clock counts from its own start, and a server without a clock must not send one
// (RFC 9110 §6.6.1).
void Conversation::begin_response(int status, const std::string& headers, bool keep_alive) {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  const std::string text =
      fmt::format("HTTP/1.1 {} {}\r\nServer: limpid-httpd\r\n{}Connection: {}\r\n\r\n", status,
                  std::string_view(reason.data(), reason.size()), headers, keep_alive ? "keep-alive" : "close");
  const auto bytes = std::as_bytes(std::span(text));
  output_.assign(bytes.begin(), bytes.end());
  output_begin_ = 0;
  finished_ = !keep_alive;
}

void Conversation::sent(size_t n) {
  output_begin_ += n;
  if (output_begin_ == output_.size()) go_on();
}

bool Conversation::read_content(uint64_t offset, std::span<std::byte> into) {
  if (content_->read(rest_.first + offset, into)) return true;
  content_.reset();  // the file shrank: only an early end tells the client
  finished_ = true;
  return false;
}

void Conversation::content_sent(uint64_t n) {
  rest_ = {rest_.first + n, rest_.length - n};
  if (rest_.length > 0) return;
  content_.reset();
  go_on();
}

// The head was sent, or the content.
void Conversation::go_on() {
  output_ = {};  // an idle connection keeps no buffer
  output_begin_ = 0;
  if (content_ == nullptr && !finished_ && !input_.empty()) answer_next();
}

}  // namespace limpid::apps
