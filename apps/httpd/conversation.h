// One HTTP/1.1 conversation, without any socket: bytes of requests go in, bytes of responses come out, one response
// after the other in the order of the requests, however many of them come at once (pipelining).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/httpd/site.h"

namespace limpid::apps {

class Conversation {
 public:
  explicit Conversation(const Site& site) : site_(&site) {}

  void received(std::span<const std::byte> bytes);

  // What is to be sent now: the head of a response, or all of a short one; empty: nothing. sent() says how much of it
  // went.
  std::span<const std::byte> output() const { return std::span(output_).subspan(output_begin_); }
  void sent(size_t n);
  // Behind it: so many bytes of content, which the caller reads in order to wherever it sends them from. False: there
  // are no more, against what the head promised, and the connection is to be closed.
  uint64_t content_left() const { return content_ == nullptr ? 0 : rest_.length; }
  bool read_content(uint64_t offset, std::span<std::byte> into);
  void content_sent(uint64_t n);

  // All answered: more requests may be read.
  bool wants_input() const { return output().empty() && content_ == nullptr && !finished_; }
  // Everything was said, and the connection is to be closed.
  bool finished() const { return finished_ && output().empty() && content_ == nullptr; }

 private:
  struct Range {
    uint64_t first = 0;
    uint64_t length = 0;
  };

  void answer_next();
  template <class Request>
  void answer(const Request& request);
  void answer_found(Found found, const std::string& range, bool head, bool keep_alive);
  void answer_with_status(int status, const std::string& more_headers, bool head, bool keep_alive);
  void begin_response(int status, const std::string& headers, bool keep_alive);
  void go_on();

  const Site* site_;
  std::string input_;  // of requests that are not answered yet
  std::vector<std::byte> output_;
  size_t output_begin_ = 0;           // of what is not sent yet
  std::unique_ptr<Content> content_;  // of the present response, until all of it is sent
  Range rest_;                        // of it: what is not sent yet
  bool finished_ = false;
};

}  // namespace limpid::apps
