#include <list>

#include "bench/client.h"

namespace limpid::bench {
namespace {

using apps::perf::Mode;
using apps::perf::Request;

constexpr size_t kPiece = 128 * 1024;

// One connection that is kept full, or empty, by a thread of its own.
class Stream {
 public:
  Stream(const Plan& plan, Mode direction)
      : direction_(direction),
        piece_(plan.message == 0 || direction == Mode::download ? kPiece : plan.message, std::byte{0x5a}),
        // The server's calls are of this size when it is the one that sends.
        socket_(open_connection(
            plan, Request{.mode = direction, .message_size = direction == Mode::download ? plan.message : 0})) {
    // What is still on its way when we end is of no interest: RST.
    socket_.set_option(SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0});
  }

  void start() {
    std::thread([this] {
      try {
        for (;;) move_one_piece();
      } catch (const std::exception&) {
        failed_ = true;
      }
    }).detach();
  }

  // To the server: what it acknowledged. From it: what we received.
  uint64_t bytes() const { return direction_ == Mode::upload ? acknowledged_bytes(socket_.fd()) : received_.load(); }
  bool failed() const { return failed_; }

 private:
  void move_one_piece() {
    if (direction_ == Mode::upload) {
      socket_.send(piece_);
    } else {
      const size_t n = socket_.receive(piece_);
      if (n == 0) throw std::runtime_error("end of the stream");
      received_.fetch_add(n, std::memory_order_relaxed);
    }
  }

  Mode direction_;
  std::vector<std::byte> piece_;
  Socket socket_;
  std::atomic<uint64_t> received_{0};
  std::atomic<bool> failed_{false};
};

class Streams {
 public:
  Streams(const Plan& plan, Mode direction) {
    for (unsigned i = 0; i < plan.streams; ++i) streams_.emplace_back(plan, direction);
    for (Stream& stream : streams_) stream.start();
  }
  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const Stream& stream : streams_) {
      if (stream.failed()) throw std::runtime_error("a stream broke");
      sum += stream.bytes();
    }
    return sum;
  }

 private:
  std::list<Stream> streams_;
};

void sleep_for(double seconds) { std::this_thread::sleep_for(Seconds(seconds)); }

struct Transfer {
  Transfer(const Plan& plan, const Streams& streams) : moment(plan), bytes(streams.bytes()) {}
  Moment moment;
  uint64_t bytes;
};

Json figures(const Transfer& before, const Transfer& after) {
  const auto bytes = static_cast<double>(after.bytes - before.bytes);
  const double seconds = Seconds(after.moment.at - before.moment.at).count();
  if (bytes == 0) throw std::runtime_error("nothing moved");
  return {{"gbit_per_s", bytes * 8e-9 / seconds},
          {"server_cpu_ns_per_kb", (after.moment.server_cpu - before.moment.server_cpu) * 1e9 * 1024 / bytes}};
}

}  // namespace

Json measure_bulk(const Plan& plan, Mode direction) {
  static std::list<Streams> kept;  // its threads outlive this function
  const Streams& streams = kept.emplace_back(plan, direction);
  sleep_for(plan.warm_up);
  const Transfer before(plan, streams);
  sleep_for(plan.seconds);
  return figures(before, Transfer(plan, streams));
}

Json measure_mix(const Plan& plan) {
  static std::list<Streams> kept;
  Plan bulk = plan;
  bulk.message = 0;
  PingPong small(plan);
  const Streams& streams = kept.emplace_back(bulk, Mode::upload);
  std::atomic<bool> end{false};
  std::exception_ptr failure;
  std::thread small_ones([&] {
    try {
      small.run(end);
    } catch (...) {
      failure = std::current_exception();
    }
  });
  sleep_for(plan.warm_up);
  small.forget();
  const Transfer before(plan, streams);
  sleep_for(plan.seconds);
  const Transfer after(plan, streams);
  end = true;
  small_ones.join();
  if (failure) std::rethrow_exception(failure);
  Json result = figures(before, after);
  result.update(small.summary());
  return result;
}

}  // namespace limpid::bench
