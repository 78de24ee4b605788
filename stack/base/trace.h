// What happened, and why: one stream of events, from which the printed dialogue, the pcapng comments, the statistics
// and the test hashes are all made. An event is 64 bytes; text is made afterwards, off the hot path.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "stack/base/event_kinds.h"
#include "stack/base/rules.h"
#include "stack/base/time.h"

namespace limpid {

using EventNumber = uint64_t;  // counts from 1; 0 is "no event"

struct Event {
  static constexpr int kWords = 9;

  EventNumber number = 0;
  Time time{};
  uint32_t connection = 0;  // counts from 1 in each stack; 0: none
  EventKind kind{};
  Rule rule{};
  uint32_t cause = 0;           // low half of the number of the input (frame, call, timer) that led here
  uint32_t words[kWords] = {};  // meaning by kind: see event_kinds.h
};
static_assert(sizeof(Event) == 64);

// Where events go. Called under the stack's lock, in order; must not call back into the stack.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void event(const Event& e) = 0;
};

// The core's end of the stream. With no sink an emit is one test of a pointer.
class Tracer {
 public:
  void set_sink(TraceSink* sink) { sink_ = sink; }
  bool on() const { return sink_ != nullptr; }

  // Returns the event's number, 0 when nobody listens.
  EventNumber emit(EventKind kind, Rule rule, uint32_t connection, Time now, std::initializer_list<uint32_t> words) {
    if (sink_ == nullptr) return 0;
    Event e{.number = ++last_, .time = now, .connection = connection, .kind = kind, .rule = rule, .cause = cause_};
    std::copy_n(words.begin(), std::min<size_t>(words.size(), Event::kWords), e.words);
    sink_->event(e);
    return e.number;
  }

  // What follows is a consequence of this event, until the next input begins.
  void begin_input(EventNumber n) { cause_ = static_cast<uint32_t>(n); }

 private:
  TraceSink* sink_ = nullptr;
  EventNumber last_ = 0;
  uint32_t cause_ = 0;
};

}  // namespace limpid
