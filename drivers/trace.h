// The printed dialogue: the event stream of one or two stacks as lines that read like a conversation, one line a
// packet, each with what it did and why. It is made of events alone, so it decorates no device: give host() to
// Stack::set_trace_sink.
//
//   Dialogue dialogue([](std::string_view line) { … }, {});
//   client.set_trace_sink(&dialogue.host("client"));
//   server.set_trace_sink(&dialogue.host("server"));     // the right side of the ladder
//   link.add_observer(new SimLinkTrace(dialogue.link())) // losses and other harm stand on the line of their packet
//
// A packet's line is held back until something else happens, so that it can show what came of it.
#pragma once

#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "drivers/dialogue_printer.h"
#include "stack/base/trace.h"

namespace limpid {

class Dialogue {
 public:
  Dialogue(LogLine out, const DialogueOptions& options);
  ~Dialogue();  // finishes
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;

  // The sink of one stack; it lives as long as the dialogue. The first host stands on the left, others on the right.
  TraceSink& host(const std::string& name);
  // The sink of the links between them.
  TraceSink& link() { return link_; }
  void finish();  // prints what is held back

 private:
  class HostSink final : public TraceSink {
   public:
    HostSink(Dialogue& dialogue, size_t host) : dialogue_(dialogue), host_(host) {}
    void event(const Event& e) override { dialogue_.on_event(host_, e); }

   private:
    Dialogue& dialogue_;
    size_t host_;
  };
  class LinkSink final : public TraceSink {
   public:
    explicit LinkSink(Dialogue& dialogue) : dialogue_(dialogue) {}
    void event(const Event& e) override { dialogue_.on_link_event(e); }

   private:
    Dialogue& dialogue_;
  };
  struct Draft {  // the line that is held back, and the event that began it
    DialogueLine line;
    Event event;
  };
  struct StateChange {
    size_t host = 0;
    Event event;
  };

  void on_event(size_t host, const Event& e);
  void on_link_event(const Event& e);
  void on_segment(size_t host, const Event& e);
  void on_segment_dropped(size_t host, const Event& e);
  void on_state_change(size_t host, const Event& e);
  void on_loss(size_t host, const Event& e);
  void on_metrics(size_t host, const Event& e);
  void on_timer(size_t host, const Event& e);
  void on_other_packet(size_t host, const Event& e);
  void explain(size_t host, const Event& e);  // a consequence that says why better than "a segment arrived"
  void note(size_t host, const Event& e, std::string text);

  void begin(size_t host, const Event& e, DialogueLine line);
  void end_draft();
  void end_state_change();
  bool about_draft(size_t host, const Event& e, DialogueLine::Kind kind) const;
  std::string segment_text(const Event& e, uint32_t window);

  std::mutex mutex_;
  DialoguePrinter printer_;
  std::deque<HostSink> hosts_;
  LinkSink link_{*this};
  std::optional<Draft> draft_;
  std::optional<StateChange> change_;                     // not yet on a line
  std::map<std::pair<size_t, uint32_t>, uint32_t> next_;  // by host and connection: received without a gap up to here
  uint32_t ports_shown_ = 0;  // of the line before, so that they are repeated only when they differ
};

// Gives every event to several sinks: a dialogue and a capture of the same stack.
class TraceTee final : public TraceSink {
 public:
  void add(TraceSink& sink) { sinks_.push_back(&sink); }
  void event(const Event& e) override {
    for (TraceSink* sink : sinks_) sink->event(e);
  }

 private:
  std::vector<TraceSink*> sinks_;
};

// Lines to a stream, each flushed, in colour when a person looks at it (and NO_COLOR is not set).
LogLine lines_to(std::FILE* stream);
DialogueOptions dialogue_options_for(std::FILE* stream);

}  // namespace limpid
