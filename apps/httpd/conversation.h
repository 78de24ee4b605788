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

  // What is to be sent now; empty: nothing. sent() says how much of it went.
  std::span<const std::byte> output();
  void sent(size_t n);

  // All answered: more requests may be read.
  bool wants_input() const { return output_begin_ == output_.size() && content_ == nullptr && !finished_; }
  // Everything was said, and the connection is to be closed once output() is empty.
  bool finished() const { return finished_ && output_begin_ == output_.size() && content_ == nullptr; }

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
  void refill();

  const Site* site_;
  std::string input_;  // of requests that are not answered yet
  std::vector<std::byte> output_;
  size_t output_begin_ = 0;           // of what is not sent yet
  std::unique_ptr<Content> content_;  // of the present response, while some of it is not in output_ yet
  Range rest_;                        // of it
  bool finished_ = false;
};

}  // namespace limpid::apps
