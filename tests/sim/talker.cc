#include "tests/sim/talker.h"

#include <fmt/format.h>

#include <algorithm>

#include "stack/base/trace_text.h"

namespace limpid::sim {

void fill_pattern(uint64_t stream, uint64_t offset, MutableByteSpan into) {
  for (size_t i = 0; i < into.size(); ++i) into[i] = pattern_byte(stream, offset + i);
}

size_t first_wrong(uint64_t stream, uint64_t offset, ByteSpan bytes) {
  for (size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != pattern_byte(stream, offset + i)) return i;
  return bytes.size();
}

void Talker::connect(Stack& stack, const IpAddress& local, uint16_t local_port, const Endpoint& remote, Time now) {
  stack_ = &stack;
  phase_ = Phase::connecting;
  next_read_ = now + plan_.read_after;
  BindId bind;
  if (local_port != 0) {
    const Result<BindId> claimed = stack.tcp_bind({local, local_port}, {.address = true, .port = false}, now);
    if (!claimed) return fail_to_open("bind", claimed.error());
    bind = *claimed;
  }
  const Result<SocketId> id = stack.tcp_connect(remote, bind, plan_.options, now);
  if (!id) {
    if (bind) stack.tcp_unbind(bind);
    return fail_to_open("connect", id.error());
  }
  id_ = *id;
}

// Ports of our own choice may still be taken by an older connection in TIME-WAIT.
void Talker::fail_to_open(const char* call, Error error) {
  const bool excused = !must_finish_ && (error == Error::address_in_use || error == Error::address_not_available);
  if (!excused) complain_(fmt::format("{}: {}: error {}", name_, call, error_text(static_cast<uint32_t>(error))));
  leave();
}

void Talker::adopt(Stack& stack, SocketId id, Time now) {
  stack_ = &stack;
  id_ = id;
  phase_ = Phase::open;
  awake_ = true;
  next_read_ = now + plan_.read_after;
}

void Talker::give_up(Time now) {
  turn_ = now;
  if (phase_ == Phase::connecting || phase_ == Phase::open) stack_->tcp_abort(id_, now);
  leave();
}

void Talker::leave() {
  if (stack_ != nullptr) {
    give_back_all(turn_);
    stack_->tcp_give_back(id_, room_, turn_);
  }
  phase_ = Phase::done;
  wake_ = kNever;
}

void Talker::take_turn(Time now) {
  turn_ = now;
  awake_ = false;
  wake_ = kNever;
  const ReadyEvents events = std::exchange(events_, ReadyEvents{0});
  if (phase_ == Phase::connecting) {
    if ((events & kError) != 0) return fail(stack_->tcp_take_error(id_), "connect", now);
    if ((events & kConnected) == 0) return;
    phase_ = Phase::open;
  }
  if (phase_ == Phase::open && plan_.changes_options) change_options(now);
  if (phase_ == Phase::open) write(now);
  if (phase_ == Phase::open) read(now);
  if (phase_ == Phase::open) take_leave(now);
}

// Every few turns: the buffers grow and shrink, Nagle comes and goes.
void Talker::change_options(Time now) {
  if (++turns_ % 4 != 0) return;
  TcpOptions options = plan_.options;
  options.receive_buffer = 256U << (turns_ / 4 * 5 % 12);
  options.send_buffer = 256U << (turns_ / 4 * 7 % 12);
  options.no_delay = turns_ % 8 == 0;
  options_ = options;
  if (const auto r = stack_->tcp_set_options(id_, options, now); !r) fail(r.error(), "set_options", now);
  if (phase_ == Phase::open) awake_ = true;  // the buffer may have room now: nobody else will say so
}

void Talker::make_calls(Time now) {
  while (phase_ == Phase::open && calls_made_ < plan_.calls.size() &&
         plan_.calls[calls_made_].at <= written_ + received_) {
    make_call(plan_.calls[calls_made_++], now);
  }
}

void Talker::make_call(const CallPlan& call, Time now) {
  const bool on = call.value != 0;
  switch (call.kind) {
    case CallKind::more:
      next_flags_.more = on;
      return;
    case CallKind::urgent:
      next_flags_.urgent = true;
      return;
    case CallKind::no_delay:
      options_.no_delay = options_.push_pending = on;
      break;
    case CallKind::cork:
      options_.cork = on;
      break;
    case CallKind::quick_ack:
      options_.quick_ack = on;
      options_.quick_ack_set = true;
      break;
    case CallKind::keepalive:
      options_.keepalive = on;
      break;
    case CallKind::send_buffer:
      options_.send_buffer = call.value;
      break;
    case CallKind::receive_buffer:
      options_.receive_buffer = call.value;
      break;
    case CallKind::congestion:
      options_.congestion = static_cast<CongestionChoice>(call.value);
      break;
  }
  if (const auto r = stack_->tcp_set_options(id_, options_, now); !r) fail(r.error(), "set_options", now);
  options_.push_pending = options_.quick_ack_set = false;
  if (phase_ == Phase::open) awake_ = true;  // the buffer may have room now: nobody else will say so
}

// What poll says must be what the calls answer.
void Talker::check_readiness(ReadyEvents event, const char* call) {
  if ((stack_->tcp_ready(id_) & event) != 0) complain_(fmt::format("{}: {} would block, but is ready", name_, call));
}

size_t Talker::next_write_size() const {
  return next_flags_.urgent ? 1 : std::min<uint64_t>(plan_.write_chunk, plan_.bytes - written_);
}

TcpSendFlags Talker::send_flags() const {
  TcpSendFlags flags = next_flags_;
  flags.tail_may_wait = plan_.tails_wait;
  return flags;
}

Result<size_t> Talker::send_copied(Time now) {
  buffer_.resize(next_write_size());
  fill_pattern(out_, written_, buffer_);
  return stack_->tcp_send(id_, buffer_, send_flags(), now);
}

Result<size_t> Talker::receive_copied(Time now) {
  buffer_.resize(plan_.read_chunk);
  const Result<size_t> got = stack_->tcp_receive(id_, buffer_, {}, now);
  if (!got) return got;
  const size_t wrong = first_wrong(in_, received_, ByteSpan(buffer_).first(*got));
  if (wrong != *got) complain_(fmt::format("{}: byte {} of the stream is wrong", name_, received_ + wrong));
  return got;
}

void Talker::write(Time now) {
  while (!all_written() && !sending_shut_) {
    make_calls(now);
    if (phase_ != Phase::open) return;
    if (next_write_ > now) {
      wake_ = std::min(wake_, next_write_);
      return;
    }
    const Result<size_t> taken = plan_.in_place ? send_in_place(now) : send_copied(now);
    if (!taken) {
      if (taken.error() != Error::would_block) return fail(taken.error(), "send", now);
      return check_readiness(kWritable, "send");
    }
    if (room_.length > 0) return;
    if (*taken == 0 || *taken > plan_.bytes - written_) {
      return complain_(fmt::format("{}: send of {} bytes took {}", name_, next_write_size(), *taken));
    }
    next_flags_ = {};
    written_ += *taken;
    next_write_ = now + plan_.write_pause;
  }
}

void Talker::read(Time now) {
  while (!end_of_stream_ && !stopped_reading()) {
    make_calls(now);
    if (phase_ != Phase::open) return;
    if (next_read_ > now) {
      wake_ = std::min(wake_, next_read_);
      return;
    }
    if (plan_.peeks && !peek(now)) return;
    const Result<size_t> got = plan_.in_place ? receive_in_place(now) : receive_copied(now);
    if (!got) {
      if (got.error() != Error::would_block) return fail(got.error(), "receive", now);
      return check_readiness(kReadable, "receive");
    }
    if (*got == 0) {
      end_of_stream_ = true;
      check_end();
      return;
    }
    received_ += *got;
    if (peer_->plan_.bytes < received_)
      complain_(fmt::format("{}: received {} bytes, more than were sent", name_, received_));
    next_read_ = now + plan_.read_pause;
  }
  give_back_all(now);
}

// What is looked at is what comes next, and it stays there.
bool Talker::peek(Time now) {
  peeked_.resize(plan_.read_chunk / 2 + 1);
  const Result<size_t> got = stack_->tcp_receive(id_, peeked_, {.peek = true}, now);
  if (!got && got.error() != Error::would_block) return (fail(got.error(), "peek", now), false);
  if (!got) return true;
  const size_t wrong = first_wrong(in_, received_, ByteSpan(peeked_).first(*got));
  if (wrong != *got) complain_(fmt::format("{}: peeked byte {} of the stream is wrong", name_, received_ + wrong));
  if (*got > stack_->tcp_readable_bytes(id_)) complain_(fmt::format("{}: peeking took bytes away", name_));
  return true;
}

// An end of stream is a promise: every byte that the peer wrote before its FIN was delivered.
void Talker::check_end() {
  if (receiving_shut_) return;
  if (received_ != peer_->written_) {
    complain_(
        fmt::format("{}: end of stream after {} bytes, but the peer wrote {}", name_, received_, peer_->written_));
  }
  const bool resets = peer_->plan_.farewell == Farewell::abort || peer_->plan_.farewell == Farewell::linger_reset;
  if (resets && peer_->phase_ == Phase::done && peer_->error_ == Error::none && !peer_->sending_shut_) {
    complain_(fmt::format("{}: end of stream, but the peer aborted", name_));
  }
}

void Talker::take_leave(Time now) {
  switch (plan_.farewell) {
    case Farewell::abort:
      if (written_ + received_ < plan_.abort_after && !(all_written() && end_of_stream_)) return;
      stack_->tcp_abort(id_, now);
      return leave();
    case Farewell::linger_reset:
      if (written_ + received_ < plan_.abort_after && !(all_written() && end_of_stream_)) return;
      options_.linger_reset = true;
      if (const auto r = stack_->tcp_set_options(id_, options_, now); !r) return fail(r.error(), "set_options", now);
      stack_->tcp_close(id_, now);
      return leave();
    case Farewell::close_unread:
      if (!all_written() || !(stopped_reading() || end_of_stream_)) return;
      [[fallthrough]];
    case Farewell::close:
      if (!all_written()) return;
      sending_shut_ = true;
      stack_->tcp_close(id_, now);
      return leave();
    case Farewell::stop_reading:
      if (!receiving_shut_ && received_ >= plan_.abort_after) {
        receiving_shut_ = true;
        if (const auto r = stack_->tcp_shutdown_receive(id_, now); !r) return fail(r.error(), "shutdown", now);
        awake_ = true;  // and reads on: end of stream
      }
      [[fallthrough]];
    case Farewell::graceful:
      if (all_written() && !sending_shut_) {
        sending_shut_ = true;
        if (const auto r = stack_->tcp_shutdown_send(id_, now); !r) return fail(r.error(), "shutdown", now);
      }
      if (!sending_shut_ || !end_of_stream_) return;
      stack_->tcp_close(id_, now);
      return leave();
  }
}

void Talker::fail(Error error, const char* where, Time now) {
  error_ = error;
  if (must_finish_ || error == Error::none || error == Error::stale_handle || error == Error::invalid_argument) {
    complain_(fmt::format("{}: {}: error {}", name_, where, error_text(static_cast<uint32_t>(error))));
  }
  stack_->tcp_close(id_, now);
  leave();
}

std::string Talker::describe() const {
  static constexpr const char* kPhases[] = {"idle", "connecting", "open", "done"};
  std::string text =
      fmt::format("{}: {}, written {} of {}, received {}{}{}{}", name_, kPhases[static_cast<int>(phase_)], written_,
                  plan_.bytes, received_, sending_shut_ ? ", shut" : "", end_of_stream_ ? ", end seen" : "",
                  error_ == Error::none ? "" : fmt::format(", error {}", error_text(static_cast<uint32_t>(error_))));
  if (phase_ == Phase::connecting || phase_ == Phase::open) {
    const Result<TcpStatus> status = stack_->tcp_status(id_);
    if (status) {
      text += fmt::format(" [{} sndq {} unsent {} rcvq {} ooo {} swnd {} rwnd {} cwnd {} flight {} rto {}us timer {}]",
                          limpid::name(status->state), status->send_queue, status->unsent, status->receive_queue,
                          status->out_of_order, status->send_window, status->receive_window, status->cwnd,
                          status->in_flight, to_us(status->rto), status->timer);
    } else {
      text += " [stale]";
    }
  }
  return text;
}

}  // namespace limpid::sim
