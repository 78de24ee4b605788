#include "bench/null_tcp.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "apps/perf/protocol.h"
#include "drivers/vnet_header.h"
#include "stack/base/checksum.h"

namespace limpid::bench {
namespace {

using apps::perf::Request;

constexpr size_t kIp = 20, kTcp = 20, kHeaders = kIp + kTcp;
constexpr size_t kLargestFrame = 65'535;
constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
constexpr uint32_t kIss = 1000;
constexpr uint8_t kOurWindowShift = 10;
constexpr int kFramesOfABatch = 64;
constexpr int kFramesOfAnAck = 16;
constexpr int kFramesBetweenReads = 8;
constexpr int kRetransmitMs = 200;

bool after(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

uint8_t window_shift_of(ByteSpan options) {
  for (size_t at = 0; at + 1 < options.size();) {
    const uint8_t kind = load8(options, at);
    if (kind == 0) break;
    const size_t length = kind == 1 ? 1 : std::max<size_t>(load8(options, at + 1), 2);
    if (kind == 3 && at + 2 < options.size()) return std::min<uint8_t>(load8(options, at + 2), 14);
    at += length;
  }
  return 0;
}

bool parse(ByteSpan frame, NullSegment& out) {
  if (frame.size() < kHeaders || load8(frame, 0) != 0x45 || load8(frame, 9) != 6) return false;
  const size_t head = size_t{4} * (load8(frame, kIp + 12) >> 4);
  if (head < kTcp || frame.size() < kIp + head) return false;
  out = {.source = load32(frame, 12),
         .destination = load32(frame, 16),
         .source_port = load16(frame, kIp),
         .destination_port = load16(frame, kIp + 2),
         .seq = load32(frame, kIp + 4),
         .ack = load32(frame, kIp + 8),
         .flags = load8(frame, kIp + 13),
         .window = load16(frame, kIp + 14),
         .options = frame.subspan(kHeaders, head - kTcp),
         .text = frame.subspan(kIp + head)};
  return true;
}

}  // namespace

NullTcp::NullTcp(int fd, const NullOptions& options)
    : fd_(fd),
      options_(options),
      flows_(65'536),
      user_(std::max<size_t>(options.copy, kLargestFrame), std::byte{0x5a}),
      rx_(kVnetHeaderSize + kLargestFrame),
      tx_(kVnetHeaderSize + kLargestFrame) {}

void NullTcp::run() {
  for (;;) {
    const size_t frames = read_batch();
    acknowledge_all();
    const bool more_to_send = fill_all();
    if (frames == 0 && !options_.busy) wait(more_to_send);
  }
}

size_t NullTcp::read_batch() {
  size_t frames = 0;
  while (frames < kFramesOfABatch) {
    const ssize_t n = ::read(fd_, rx_.data(), rx_.size());
    if (n <= static_cast<ssize_t>(kVnetHeaderSize)) break;
    on_frame(ByteSpan(rx_).first(static_cast<size_t>(n)).subspan(kVnetHeaderSize));
    ++frames;
  }
  return frames;
}

void NullTcp::on_frame(ByteSpan frame) {
  NullSegment in;
  if (!parse(frame, in)) return;
  Flow& flow = flows_[in.source_port];
  if ((in.flags & kRst) != 0) {
    std::erase(sources_, &flow);
    flow.role = Role::none;
    return;
  }
  if ((in.flags & kSyn) != 0) return on_syn(flow, in);
  on_ack(flow, in);
  if (in.seq != flow.rcv_nxt) {  // a hole, or old text: the ACK says what is missing
    if (!in.text.empty()) acknowledge(flow);
    return;
  }
  if (!in.text.empty()) on_text(flow, in.text);
  if ((in.flags & kFin) != 0) {
    ++flow.rcv_nxt;
    std::erase(sources_, &flow);
    send(flow, kFin | kAck, 0);
    ++flow.snd_nxt;
  }
}

void NullTcp::on_syn(Flow& flow, const NullSegment& in) {
  std::erase(sources_, &flow);
  std::erase(due_, &flow);
  flow = {.peer = in.source,
          .own = in.destination,
          .peer_port = in.source_port,
          .own_port = in.destination_port,
          .window_shift = window_shift_of(in.options),
          .rcv_nxt = in.seq + 1,
          .snd_una = kIss,
          .snd_nxt = kIss};
  std::array<std::byte, 8> options{};  // MSS, a NOP, window scale
  store32(options, 0, 0x02040000u | static_cast<uint32_t>(options_.mtu - kHeaders));
  store32(options, 4, 0x01030300u | kOurWindowShift);
  send(flow, kSyn | kAck, 0, options);
  ++flow.snd_nxt;
}

void NullTcp::on_ack(Flow& flow, const NullSegment& in) {
  if (after(in.ack, flow.snd_una)) flow.snd_una = in.ack;
  flow.snd_window = uint32_t{in.window} << flow.window_shift;
}

void NullTcp::on_text(Flow& flow, ByteSpan text) {
  flow.rcv_nxt += static_cast<uint32_t>(text.size());
  if (flow.role == Role::none) text = take_request(flow, text);
  switch (flow.role) {
    case Role::sink:
      if (options_.copy != 0) std::memcpy(user_buffer(text.size()), text.data(), text.size());
      break;
    case Role::echo:
      if (text.empty() || text.size() > kLargestFrame - kHeaders) break;
      std::memcpy(tx_text(), text.data(), text.size());
      send(flow, kPsh | kAck, text.size());
      return;
    case Role::one_answer:
      send(flow, kPsh | kAck, 1);
      return;
    case Role::source:
    case Role::none:
      break;
  }
  acknowledge(flow);
}

// What follows the request is returned.
ByteSpan NullTcp::take_request(Flow& flow, ByteSpan text) {
  using apps::perf::Mode;
  const auto request = Request::decode(text);
  if (!request) return text;
  switch (request->mode) {
    case Mode::upload:
      flow.role = Role::sink;
      break;
    case Mode::download:
      flow.role = Role::source;
      sources_.push_back(&flow);
      break;
    case Mode::ping_pong:
      flow.role = Role::echo;
      break;
    case Mode::connections:
      flow.role = Role::one_answer;
      break;
  }
  return text.subspan(apps::perf::kRequestSize);
}

// One ACK for a batch, as Linux with GRO.
void NullTcp::acknowledge(Flow& flow) {
  if (flow.frames_due++ == 0) due_.push_back(&flow);
  if (flow.frames_due == kFramesOfAnAck) acknowledge_all();
}

void NullTcp::acknowledge_all() {
  for (Flow* flow : due_) {
    flow->frames_due = 0;
    send(*flow, kAck, 0);
  }
  due_.clear();
}

// Until the window is full (false), or it is time to read again (true).
bool NullTcp::fill(Flow& flow) {
  const size_t mss = options_.mtu - kHeaders;
  const auto chunk = static_cast<uint32_t>((kLargestFrame - kHeaders) / mss * mss);
  for (int frames = 0; frames < kFramesBetweenReads; ++frames) {
    if (flow.snd_nxt - flow.snd_una + chunk > flow.snd_window) return false;
    if (options_.copy != 0) std::memcpy(tx_text(), user_buffer(chunk), chunk);
    send(flow, kAck, chunk);
  }
  return true;
}

bool NullTcp::fill_all() {
  bool more = false;
  for (Flow* flow : sources_) more |= fill(*flow);
  return more;
}

void NullTcp::wait(bool more_to_send) {
  pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
  const int ready = ::poll(&readable, 1, more_to_send ? 0 : sources_.empty() ? -1 : kRetransmitMs);
  if (ready == 0 && !more_to_send) go_back();
}

// Nothing came for long: what is unacknowledged was lost.
void NullTcp::go_back() {
  for (Flow* flow : sources_) flow->snd_nxt = flow->snd_una;
}

void NullTcp::send(Flow& flow, uint8_t flags, size_t text_size, ByteSpan options) {
  const std::span<std::byte> frame = std::span(tx_).subspan(kVnetHeaderSize);
  const size_t head = kHeaders + options.size();
  store32(frame, 0, 0x45000000u | static_cast<uint32_t>(head + text_size));
  store32(frame, 4, 0x4000);  // don't fragment
  store32(frame, 8, 64u << 24 | 6u << 16);
  store32(frame, 12, flow.own);
  store32(frame, 16, flow.peer);
  store16(frame, 10, internet_checksum(frame.first(kIp)));
  store16(frame, kIp, flow.own_port);
  store16(frame, kIp + 2, flow.peer_port);
  store32(frame, kIp + 4, flow.snd_nxt);
  store32(frame, kIp + 8, flow.rcv_nxt);
  store8(frame, kIp + 12, static_cast<uint8_t>((kTcp + options.size()) / 4 << 4));
  store8(frame, kIp + 13, flags);
  store16(frame, kIp + 14, 0xffff);
  store32(frame, kIp + 16, 0);
  std::ranges::copy(options, frame.begin() + kHeaders);

  // The kernel finishes the checksum over the pseudo-header's sum, and cuts what is longer than a packet.
  Checksum pseudo;
  pseudo.add(frame.subspan(12, 8));
  pseudo.add16(6);
  pseudo.add16(static_cast<uint16_t>(head - kIp + text_size));
  store16(frame, kIp + 16, static_cast<uint16_t>(~pseudo.finish()));
  const size_t mss = options_.mtu - kHeaders;
  FrameOffload offload;
  offload.checksum_open = true;
  offload.checksum_begin = kIp;
  offload.checksum_field = 16;
  offload.segment_text = static_cast<uint16_t>(text_size > mss ? mss : 0);
  write_vnet_header(std::span(tx_).first<kVnetHeaderSize>(), offload, frame.first(head));
  if (::write(fd_, tx_.data(), kVnetHeaderSize + head + text_size) < 0) return;  // lost, as on any wire
  flow.snd_nxt += static_cast<uint32_t>(text_size);
}

// The next piece of the buffer, which is gone through again and again.
std::byte* NullTcp::user_buffer(size_t size) {
  if (user_at_ + size > user_.size()) user_at_ = 0;
  std::byte* piece = user_.data() + user_at_;
  user_at_ += size;
  return piece;
}

std::byte* NullTcp::tx_text() { return tx_.data() + kVnetHeaderSize + kHeaders; }

}  // namespace limpid::bench
