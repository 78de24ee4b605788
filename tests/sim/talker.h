// An application on one end of a simulated connection, on the stack's plain non-blocking calls.
//
// It is woken by the stack's wake-ups and by its own pauses only, and tries everything until the stack answers
// would_block: so a wake-up that the stack forgets shows as a transfer that never ends.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stack/stack.h"
#include "tests/sim/scenario.h"

namespace limpid::sim {

// Byte number `offset` of stream `stream`: any shifted, repeated or swapped byte shows.
inline std::byte pattern_byte(uint64_t stream, uint64_t offset) {
  const uint64_t x = (stream * 0x9e3779b97f4a7c15 + (offset >> 3) + 1) * 0xd6e8feb86659fd93;
  return static_cast<std::byte>(x >> (8 * (offset & 7)));
}
void fill_pattern(uint64_t stream, uint64_t offset, MutableByteSpan into);
// The first place where `bytes` differ from the pattern; its size if nowhere.
size_t first_wrong(uint64_t stream, uint64_t offset, ByteSpan bytes);

class Talker {
 public:
  enum class Phase : uint8_t { idle, connecting, open, done };
  using Complain = std::function<void(const std::string&)>;

  Talker(std::string name, const TalkerPlan& plan, uint64_t stream_out, uint64_t stream_in, bool must_finish,
         Complain complain)
      : name_(std::move(name)),
        plan_(plan),
        options_(plan.options),
        out_(stream_out),
        in_(stream_in),
        must_finish_(must_finish),
        complain_(std::move(complain)) {}

  void set_peer(const Talker* peer) { peer_ = peer; }

  // Active open. `local_port` 0: any.
  void connect(Stack& stack, const IpAddress& local, uint16_t local_port, const Endpoint& remote, Time now);
  // An accepted connection.
  void adopt(Stack& stack, SocketId id, Time now);
  void give_up(Time now);  // the scenario is over
  void leave();            // nothing more to do; if there was a socket, its id is stale

  void raise(ReadyEvents events) {
    events_ |= events;
    awake_ = true;
  }
  bool wants_turn(Time now) const { return phase_ != Phase::done && phase_ != Phase::idle && (awake_ || wake_ <= now); }
  void take_turn(Time now);
  Time wake() const { return phase_ == Phase::done || phase_ == Phase::idle ? kNever : wake_; }

  Phase phase() const { return phase_; }
  bool done() const { return phase_ == Phase::done; }
  SocketId id() const { return id_; }
  Error error() const { return error_; }
  uint64_t written() const { return written_; }
  uint64_t received() const { return received_; }
  bool saw_end() const { return end_of_stream_; }
  const std::string& name() const { return name_; }
  std::string describe() const;

 private:
  void make_calls(Time now);
  void make_call(const CallPlan& call, Time now);
  void check_readiness(ReadyEvents event, const char* call);
  size_t next_write_size() const;
  bool stopped_reading() const { return plan_.farewell == Farewell::close_unread && received_ >= plan_.abort_after; }
  void write(Time now);
  void read(Time now);
  Result<size_t> send_copied(Time now);
  Result<size_t> receive_copied(Time now);
  TcpSendFlags send_flags() const;
  Result<size_t> send_in_place(Time now);  // 0: reserved, but not committed yet
  Result<size_t> receive_in_place(Time now);
  void give_back(size_t which, Time now);
  void give_back_all(Time now);
  bool peek(Time now);  // false: the connection has failed
  void take_leave(Time now);
  void fail(Error error, const char* where, Time now);
  void fail_to_open(const char* call, Error error);
  void check_end();
  bool all_written() const { return written_ == plan_.bytes; }
  void change_options(Time now);

  std::string name_;
  const TalkerPlan& plan_;
  TcpOptions options_;  // as they are now
  size_t calls_made_ = 0;
  TcpSendFlags next_flags_;
  uint64_t out_, in_;  // streams: what we write, what we must read
  bool must_finish_;
  Complain complain_;
  const Talker* peer_ = nullptr;

  Stack* stack_ = nullptr;
  SocketId id_;
  Phase phase_ = Phase::idle;
  ReadyEvents events_ = 0;
  bool awake_ = false;
  Time wake_ = kNever;
  Time next_write_{};
  Time next_read_{};
  uint64_t written_ = 0;
  uint64_t received_ = 0;
  bool sending_shut_ = false;
  bool receiving_shut_ = false;
  bool end_of_stream_ = false;
  Error error_ = Error::none;
  uint32_t turns_ = 0;
  std::vector<std::byte> buffer_;
  std::vector<std::byte> peeked_;
  struct Lent {
    uint64_t from;  // the first byte's place in the stream
    LentText text;
  };
  std::vector<Lent> lent_;
  SendRoom room_;
  Time turn_{};  // when the last one was taken
};

}  // namespace limpid::sim
