#include "tests/fuzz/kernel/twin_player.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limpid/socket.hpp>

#include "tests/fuzz/scripted_peer.h"
#include "tests/fuzz/segment_judge.h"

namespace limpid::twin {
namespace {

using fuzz::peer_octet;
using fuzz::user_octet;

constexpr uint16_t kPeerPort = 4000;
constexpr uint32_t kPeerClock = 0xffff'f000;  // of its timestamps, at the first step

bool before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

std::string error_name() {
  const char* name = strerrorname_np(errno);
  return name != nullptr ? name : std::to_string(errno);
}

}  // namespace

Player::Player(Side& side, const Case& c, const Place& place)
    : side_(side), case_(c), place_(place), next_(c.irs), acked_(c.irs), edge_(c.irs) {
  const SocketCalls& calls = side_.calls();
  const int fd = open_socket();
  if (c.client) {
    connection_ = fd;
    return;
  }
  listener_ = fd;
  calls.listen(fd, 4);
}

int Player::open_socket() {
  const SocketCalls& calls = side_.calls();
  const int fd = calls.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  calls.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  calls.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const SocketAddress local("10.0.0.1", place_.port);
  calls.bind(fd, local.data(), local.size());
  return fd;
}

// --- what is done to the side ----------------------------------------------------------------------------------------

void Player::perform(size_t index) {
  const CaseStep& step = case_.steps[index];
  if (step.kind == CaseStep::Kind::segment) send(step, index);
  if (step.kind == CaseStep::Kind::probe) probe(index);
  if (step.kind == CaseStep::Kind::call) now_.result = do_call(step);
}

void Player::send(const CaseStep& step, size_t index) {
  const std::array<uint32_t, size_t(SeqBase::count_)> seqs = {next_, case_.irs, edge_};
  const std::array<uint32_t, size_t(AckBase::count_)> acks = {end_, isn_};
  const uint32_t seq = seqs[size_t(step.seq_base)] + static_cast<uint32_t>(step.seq_offset);
  const bool acks_any = (step.flags & tcp_flag::ack) != 0;
  const uint32_t ack = acks_any ? acks[size_t(step.ack_base)] + static_cast<uint32_t>(step.ack_offset) : 0;
  put(step.flags, seq, ack, step, index);
  if (step.nobody || (step.flags & tcp_flag::rst) != 0) return;
  if (step.seq_base == SeqBase::next && step.seq_offset == 0)
    next_ +=
        step.length + ((step.flags & tcp_flag::syn) != 0 ? 1U : 0U) + ((step.flags & tcp_flag::fin) != 0 ? 1U : 0U);
}

// Its ACK and window say nothing new.
void Player::probe(size_t index) {
  const CaseStep plain{.window = last_window_};
  put(tcp_flag::ack, case_.irs, isn_ + 1, plain, index);
}

void Player::put(uint8_t flags, uint32_t seq, uint32_t ack, const CaseStep& step, size_t index) {
  now_.sent = {.syn = (flags & tcp_flag::syn) != 0,
               .window_shut = last_window_ == 0,
               .seq = seq - case_.irs,
               .ack = ack - isn_,
               .acked = acked_ - case_.irs,
               .edge = edge_ - case_.irs,
               .sent_end = end_ - isn_,
               .una = una_ - isn_};
  const bool in_window = !before(seq, acked_) && before(seq, edge_);
  const bool counts = !step.nobody && step.ts_offset >= 0 && (flags & tcp_flag::ack) != 0 &&
                      (flags & (tcp_flag::rst | tcp_flag::syn)) == 0;
  if (in_window && counts && ack == end_) last_window_ = step.window;
  if (in_window && counts && before(una_, ack) && !before(end_, ack)) una_ = ack;
  fuzz::PeerSegment s;
  s.flags = flags;
  s.sequence = seq;
  s.acknowledgment = ack;
  s.window = step.window;
  s.source_port = kPeerPort;
  s.destination_port = static_cast<uint16_t>(place_.port + (step.nobody ? kToNobody : 0));
  s.options = options_of(step, flags, index);
  s.text.resize(step.length);
  const uint32_t first = seq - case_.irs + ((flags & tcp_flag::syn) != 0 ? 1U : 0U);
  for (uint32_t i = 0; i < step.length; ++i) s.text[i] = peer_octet(first + i);
  std::vector<std::byte> packet = fuzz::ScriptedPeer{}.packet(s);
  store32(packet, 12, place_.peer.v4_bits());
  store32(packet, 16, kSut.v4_bits());
  fuzz::fix_checksums(packet);
  side_.inject(packet);
}

std::vector<std::byte> Player::options_of(const CaseStep& step, uint8_t flags, size_t index) const {
  TcpOptionSet o;
  const bool syn = (flags & tcp_flag::syn) != 0;
  if (syn) {
    o.mss = case_.mss;
    o.window_scale = case_.scale;
    o.sack_permitted = case_.sack;
  }
  if (step.stamped && case_.stamps && (syn || stamps_ || !has_isn_)) {
    const uint32_t clock = kPeerClock + static_cast<uint32_t>(index) * 10;
    o.timestamps = TcpTimestamps{clock + static_cast<uint32_t>(step.ts_offset), side_stamp_};
  }
  std::vector<std::byte> bytes(o.size());
  o.write(bytes);
  const RawOptions& raw = syn ? case_.raw : step.raw;
  for (uint8_t b : raw) bytes.push_back(std::byte{b});
  return bytes;
}

// --- the user --------------------------------------------------------------------------------------------------------

std::string Player::do_call(const CaseStep& step) {
  const SocketCalls& calls = side_.calls();
  const auto outcome = [](ssize_t result) { return result < 0 ? error_name() : std::to_string(result); };
  switch (step.call) {
    case Call::connect: {
      const SocketAddress peer(place_.peer.to_string().c_str(), kPeerPort);
      return outcome(calls.connect(connection_, peer.data(), peer.size()));
    }
    case Call::accept: {
      if (connection_ >= 0) return "held";
      connection_ = calls.accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      return connection_ < 0 ? error_name() : "taken";
    }
    case Call::write: {
      std::vector<std::byte> bytes(step.count);
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = user_octet(written_ + i);
      const ssize_t n = calls.send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) written_ += static_cast<uint64_t>(n);
      return outcome(n);
    }
    case Call::read:
      return read(step.count, 0);
    case Call::peek:
      return read(step.count, MSG_PEEK);
    case Call::shutdown_write:
      return outcome(calls.shutdown(connection_, SHUT_WR));
    case Call::shutdown_read:
      return outcome(calls.shutdown(connection_, SHUT_RD));
    case Call::close:
      return outcome(calls.close(std::exchange(connection_, -1)));
    case Call::abort: {
      const linger reset{.l_onoff = 1, .l_linger = 0};
      calls.setsockopt(connection_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      return outcome(calls.close(std::exchange(connection_, -1)));
    }
    case Call::error: {
      int error = 0;
      socklen_t length = sizeof error;
      const int result = calls.getsockopt(connection_, SOL_SOCKET, SO_ERROR, &error, &length);
      errno = error;
      return result < 0 ? "no socket" : error == 0 ? "0" : error_name();
    }
    case Call::close_listener:
      return outcome(calls.close(std::exchange(listener_, -1)));
    case Call::count_:
      break;
  }
  return {};
}

// Its octets must be those that the peer sent there.
std::string Player::read(uint32_t count, int flags) {
  std::vector<std::byte> bytes(count);
  const ssize_t n = side_.calls().recv(connection_, bytes.data(), bytes.size(), flags);
  if (n < 0) return error_name();
  for (size_t i = 0; i < static_cast<size_t>(n); ++i)
    if (bytes[i] != peer_octet(static_cast<uint32_t>(1 + read_ + i)))
      return std::to_string(n) + ", octet " + std::to_string(i) + " wrong";
  if ((flags & MSG_PEEK) == 0) read_ += static_cast<uint64_t>(n);
  return std::to_string(n);
}

void Player::leave() {
  CaseStep abort{.kind = CaseStep::Kind::call, .call = Call::abort};
  if (listener_ >= 0) side_.calls().close(std::exchange(listener_, -1));
  if (connection_ >= 0) do_call(abort);
  if (has_ack_) put(tcp_flag::rst, acked_, 0, {}, 0);
}

Player::~Player() = default;

// --- what the side does ----------------------------------------------------------------------------------------------

void Player::take(ByteSpan packet) {
  const auto parsed = parse_tcp(packet.subspan(fuzz::kIpHeader), kSut, place_.peer);
  if (!parsed) {
    now_.wrong = "a broken segment";
    return;
  }
  const TcpHeader& tcp = parsed->header;
  const ByteSpan text = packet.subspan(fuzz::kIpHeader + parsed->header_size);
  if (tcp.has(tcp_flag::syn)) note_syn(tcp);
  const auto from = [](uint32_t number, uint32_t base) {
    return number == 0 ? "0" : std::to_string(static_cast<int32_t>(number - base));
  };
  std::string line;
  for (const auto& [bit, letter] :
       {std::pair{tcp_flag::syn, 'S'}, {tcp_flag::fin, 'F'}, {tcp_flag::rst, 'R'}, {tcp_flag::ack, 'A'}})
    if (tcp.has(bit)) line += letter;
  line += " seq " + from(tcp.sequence, isn_);
  const uint32_t answers = now_.sent.seq + case_.irs;  // of what follows from this segment alone
  const bool of_this = tcp.has(tcp_flag::rst) || (tcp.has(tcp_flag::syn) && now_.sent.syn);
  if (of_this && tcp.has(tcp_flag::ack))
    line += " ack its seq+" + std::to_string(static_cast<int32_t>(tcp.acknowledgment - answers));
  else if (tcp.has(tcp_flag::ack))
    line += " ack " + std::to_string(static_cast<int32_t>(tcp.acknowledgment - case_.irs));
  now_.packets.push_back(line + " length " + std::to_string(text.size()) + " win " + std::to_string(tcp.window));
  if (tcp.has(tcp_flag::rst)) {
    now_.resets.insert(line);
    return;
  }
  if (tcp.has(tcp_flag::syn)) {
    const TcpOptionSet& o = tcp.options;
    now_.syns.insert(line + (o.mss ? " mss " + std::to_string(*o.mss) : "") + (o.window_scale ? " ws" : "") +
                     (o.sack_permitted ? " sack" : "") + (o.timestamps ? " ts" : ""));
  } else if (tcp.has(tcp_flag::ack)) {
    now_.answered = true;
  }
  if (tcp.options.timestamps) side_stamp_ = tcp.options.timestamps->value;
  if (tcp.has(tcp_flag::ack)) {
    if (!has_ack_ || before(acked_, tcp.acknowledgment)) acked_ = tcp.acknowledgment;
    has_ack_ = true;
    const uint32_t edge = tcp.acknowledgment + (uint32_t{tcp.window} << (tcp.has(tcp_flag::syn) ? 0 : shift_));
    if (before(edge_, edge)) edge_ = edge;
  }
  note_text(tcp, text);
}

void Player::note_syn(const TcpHeader& tcp) {
  if (has_isn_ && tcp.sequence == isn_) return;
  has_isn_ = true;
  isn_ = tcp.sequence;
  una_ = isn_;
  has_ack_ = false;
  acked_ = edge_ = case_.irs;
  end_ = isn_ + 1;
  written_ = read_ = 0;
  shift_ = case_.scale ? tcp.options.window_scale.value_or(0) : uint8_t{0};
  stamps_ = tcp.options.timestamps.has_value();
}

void Player::note_text(const TcpHeader& tcp, ByteSpan text) {
  const uint32_t first = tcp.sequence + (tcp.has(tcp_flag::syn) ? 1U : 0U);
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] != user_octet(first - isn_ - 1 + i)) now_.wrong = "octet " + std::to_string(first - isn_ - 1 + i);
  const uint32_t end = first + static_cast<uint32_t>(text.size()) + (tcp.has(tcp_flag::fin) ? 1U : 0U);
  if (before(end_, end)) end_ = end;
  if (tcp.has(tcp_flag::fin)) now_.fin = true;
}

void Player::observe() {
  now_.ack = has_ack_ ? acked_ - case_.irs : 0;
  now_.sent_end = has_isn_ ? end_ - isn_ : 0;
  now_.state = state();
  now_.ready = poll(connection_);
  now_.listener_ready = poll(listener_);
  Observation next;
  next.fin = now_.fin;
  next.was_acked = now_.ack;
  seen_.push_back(std::exchange(now_, next));
}

std::string Player::state() const {
  if (connection_ < 0) return "-";
  static constexpr std::array<const char*, 13> kNames = {
      "?",      "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2",      "TIME-WAIT",
      "CLOSED", "CLOSE-WAIT",  "LAST-ACK", "LISTEN",       "CLOSING",    "NEW-SYN-RECEIVED"};
  tcp_info info{};
  socklen_t length = sizeof info;
  if (side_.calls().getsockopt(connection_, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return error_name();
  return info.tcpi_state < kNames.size() ? kNames[info.tcpi_state] : "?";
}

int Player::poll(int fd) const {
  if (fd < 0) return 0;
  pollfd p{.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP, .revents = 0};
  side_.calls().poll(&p, 1, 0);
  return p.revents;
}

}  // namespace limpid::twin
