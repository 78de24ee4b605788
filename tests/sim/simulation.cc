#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "stack/base/trace_text.h"

namespace limpid::sim {

namespace {

constexpr Duration kPatience{24h};  // for the stacks to come to rest, in virtual time
constexpr Time kGiveUp{1h};         // what may fail is aborted then, what must finish has failed
constexpr uint64_t kMostSteps = 3'000'000;
constexpr uint64_t kMostStepsAtOnce = 20'000;  // without the clock moving

uint64_t key(SocketId id) {
  return uint64_t{static_cast<uint8_t>(id.kind)} << 56 ^ uint64_t { id.generation } << 32 ^ id.index;
}

}  // namespace

// The wake-ups of one host, passed to whoever owns the socket.
class Simulation::HostWakes final : public ReadySink {
 public:
  void raise(SocketId socket, ReadyEvents events) override {
    if (const auto talker = talkers.find(key(socket)); talker != talkers.end()) talker->second->raise(events);
    if (const auto flag = flags.find(key(socket)); flag != flags.end()) *flag->second = true;
  }
  std::map<uint64_t, Talker*> talkers;
  std::map<uint64_t, bool*> flags;  // listeners and datagram sockets
};

// A listener and its accept loop.
class Simulation::Acceptor {
 public:
  Acceptor(Simulation& simulation, const ListenerPlan& plan) : sim_(simulation), plan_(plan) {
    Stack& stack = sim_.net_.stack(plan_.host);
    const Result<BindId> bind = stack.tcp_bind({IpAddress{}, plan_.port}, {}, sim_.net_.now());
    const Result<SocketId> id =
        bind ? stack.tcp_listen(*bind, plan_.backlog, plan_.options, sim_.net_.now()) : std::unexpected(bind.error());
    if (!id) {
      sim_.complain(fmt::format("listen: error {}", error_text(static_cast<uint32_t>(id.error()))));
      return;
    }
    id_ = *id;
    open_ = true;
    sim_.wakes_[plan_.host]->flags[key(id_)] = &awake_;
    if (plan_.close_at > Duration{}) close_at_ = Time(plan_.close_at);
  }

  bool wants_turn(Time now) const { return open_ && ((awake_ && next_accept_ <= now) || close_at_ <= now); }
  Time wake() const { return !open_ ? kNever : awake_ ? std::min(next_accept_, close_at_) : close_at_; }

  void take_turn(Time now) {
    if (close_at_ <= now) return close(now);
    Stack& stack = sim_.net_.stack(plan_.host);
    while (next_accept_ <= now) {
      const Result<SocketId> got = stack.tcp_accept(id_, now);
      if (!got) {
        if (got.error() != Error::would_block)
          sim_.complain(fmt::format("accept: error {}", error_text(static_cast<uint32_t>(got.error()))));
        awake_ = false;
        return;
      }
      next_accept_ = now + plan_.accept_pause;
      sim_.accepted(plan_.host, *got);
    }
  }

  void close(Time now) {
    if (!open_) return;
    sim_.net_.stack(plan_.host).tcp_close(id_, now);
    open_ = false;
  }

 private:
  Simulation& sim_;
  const ListenerPlan& plan_;
  SocketId id_;
  bool open_ = false;
  bool awake_ = false;
  Time next_accept_{};
  Time close_at_ = kNever;
};

// Datagrams from one host to another: stream, index and length in front of a pattern.
class Simulation::DatagramStream {
 public:
  static constexpr size_t kHeader = 12;

  DatagramStream(Simulation& simulation, const DatagramPlan& plan, uint32_t stream)
      : sim_(simulation), plan_(plan), stream_(stream), rng_(Rng(simulation.scenario_.seed).split("datagrams")) {
    const LinkPlan& link = sim_.scenario_.links[plan_.link];
    from_ = link.hosts[plan_.sender_end];
    to_ = link.hosts[1 - plan_.sender_end];
    target_ = {link.addresses[1 - plan_.sender_end], plan_.port};
    source_ = link.addresses[plan_.sender_end];
    open_socket(sender_, from_, send_awake_);
    open_socket(receiver_, to_, receive_awake_);
    if (!plan_.nobody_there) bind_receiver();
    if (plan_.connected) (void)sim_.net_.stack(from_).udp_connect(sender_, target_, sim_.net_.now());
    next_send_ = Time(plan_.start);
  }

  bool done() const { return sent_ == plan_.count; }
  bool wants_turn(Time now) const { return open_ && (receive_awake_ || wake() <= now); }
  Time wake() const { return !open_ || done() ? kNever : next_send_; }

  void take_turn(Time now) {
    if (receive_awake_) receive(now);
    while (!done() && next_send_ <= now) {
      send(now);
      next_send_ = now + std::max<Duration>(plan_.interval, 1us);
    }
  }

  void close() {
    if (!open_) return;
    open_ = false;
    sim_.net_.stack(from_).udp_close(sender_);
    sim_.net_.stack(to_).udp_close(receiver_);
  }

 private:
  void open_socket(SocketId& id, size_t host, bool& flag) {
    id = sim_.net_.stack(host).udp_open({});
    sim_.wakes_[host]->flags[key(id)] = &flag;
  }

  void bind_receiver() {
    const auto bound =
        sim_.net_.stack(to_).udp_bind(receiver_, target_, {.address = true, .port = true}, sim_.net_.now());
    if (!bound) sim_.complain(fmt::format("udp_bind: error {}", error_text(static_cast<uint32_t>(bound.error()))));
  }

  void send(Time now) {
    buffer_.resize(std::max<size_t>(rng_.below(plan_.max_size) + 1, kHeader));
    const MutableByteSpan bytes = buffer_;
    store32(bytes, 0, stream_);
    store32(bytes, 4, sent_);
    store32(bytes, 8, static_cast<uint32_t>(bytes.size()));
    fill_pattern(stream_, sent_, bytes.subspan(kHeader));
    DatagramSend how;
    if (!plan_.connected) how.to = target_;
    const Result<size_t> result = sim_.net_.stack(from_).udp_send(sender_, bytes, how, now);
    ++sent_;
    if (!result && result.error() != Error::would_block && result.error() != Error::refused &&
        result.error() != Error::host_unreachable && result.error() != Error::no_buffers) {
      sim_.complain(fmt::format("udp_send: error {}", error_text(static_cast<uint32_t>(result.error()))));
    }
  }

  void receive(Time now) {
    receive_awake_ = false;
    while (true) {
      buffer_.resize(70'000);
      const Result<DatagramReceived> got = sim_.net_.stack(to_).udp_receive(receiver_, buffer_, false, now);
      if (!got) return;
      const ByteSpan bytes = ByteSpan(buffer_).first(got->copied);
      if (got->from.address != source_ && plan_.port == target_.port) continue;  // of another stream to the same port
      if (got->copied < kHeader || got->copied != got->length || load32(bytes, 8) != bytes.size()) {
        sim_.complain(fmt::format("datagram of {} bytes is cut", got->length));
        continue;
      }
      const size_t wrong = first_wrong(load32(bytes, 0), load32(bytes, 4), bytes.subspan(kHeader));
      if (wrong != bytes.size() - kHeader) sim_.complain(fmt::format("datagram is wrong at byte {}", wrong + kHeader));
    }
  }

  Simulation& sim_;
  const DatagramPlan& plan_;
  uint32_t stream_;
  Rng rng_;
  size_t from_ = 0, to_ = 0;
  Endpoint target_;
  IpAddress source_;
  SocketId sender_, receiver_;
  bool send_awake_ = false, receive_awake_ = false;
  bool open_ = true;
  uint32_t sent_ = 0;
  Time next_send_{};
  std::vector<std::byte> buffer_;
};

Simulation::Simulation(const Scenario& scenario, SimHash hash)
    : scenario_(scenario), watch_([this](const std::string& what) { complain(what); }), net_(scenario.seed, hash) {
  build_network();
}

Simulation::~Simulation() = default;

void Simulation::complain(const std::string& what) {
  if (failure_.empty())
    failure_ = fmt::format("at {:.6f} s: {}", static_cast<double>(to_us(net_.now().time_since_epoch())) / 1e6, what);
}

void Simulation::build_network() {
  for (const HostPlan& host : scenario_.hosts) {
    wakes_.push_back(std::make_unique<HostWakes>());
    net_.add_host(host.name, host.config, *wakes_.back());
  }
  for (const LinkPlan& link : scenario_.links) {
    size_t next_end = 0;  // they come in order
    net_.connect(link.hosts[0], link.addresses[0], link.hosts[1], link.addresses[1], link.config, 24,
                 [&](size_t host, Device& end) -> Device& {
                   return watch_.wrap(host, put_middlebox(link.middleboxes[next_end++], end));
                 });
  }
  net_.set_after_turn([this](size_t host) { check_host(host); });
}

Device& Simulation::put_middlebox(const MiddleboxPlan& plan, Device& end) {
  if (!plan.meddles()) return end;
  const Rng rng = Rng(scenario_.seed).split("middlebox " + std::to_string(middleboxes_.size()));
  middleboxes_.push_back(std::make_unique<Middlebox>(plan, rng, end));
  return *middleboxes_.back();
}

void Simulation::build_applications() {
  for (const ListenerPlan& plan : scenario_.listeners) acceptors_.push_back(std::make_unique<Acceptor>(*this, plan));
  uint32_t stream = 1;
  for (const DatagramPlan& plan : scenario_.datagrams) {
    streams_.push_back(std::make_unique<DatagramStream>(*this, plan, stream++));
  }
  conversations_.resize(scenario_.conversations.size());
  for (size_t i = 0; i < conversations_.size(); ++i) {
    const ConversationPlan& plan = scenario_.conversations[i];
    const auto complainer = [this](const std::string& what) { complain(what); };
    Conversation& talk = conversations_[i];
    talk.client = std::make_unique<Talker>(fmt::format("conversation {} client", i), plan.client, 2 * i, 2 * i + 1,
                                           plan.must_finish, complainer);
    talk.server = std::make_unique<Talker>(fmt::format("conversation {} server", i), plan.server, 2 * i + 1, 2 * i,
                                           plan.must_finish, complainer);
    talk.client->set_peer(talk.server.get());
    talk.server->set_peer(talk.client.get());
    if (!plan.absent) continue;
    talk.started = talk.reached = true;
    talk.client->leave();
    talk.server->leave();
  }
}

void Simulation::start_conversation(size_t index) {
  const ConversationPlan& plan = scenario_.conversations[index];
  Conversation& talk = conversations_[index];
  talk.started = true;
  const LinkPlan& link = scenario_.links[plan.link];
  const size_t ends[2] = {plan.client_end, plan.server_end()};
  Talker* talkers[2] = {talk.client.get(), talk.server.get()};
  const uint16_t ports[2] = {plan.client_port, plan.server_port};
  for (size_t side = 0; side < (plan.simultaneous ? 2U : 1U); ++side) {
    const size_t host = link.hosts[ends[side]];
    Stack& stack = net_.stack(host);
    talkers[side]->connect(stack, link.addresses[ends[side]], ports[side],
                           {link.addresses[ends[1 - side]], ports[1 - side]}, net_.now());
    if (talkers[side]->done()) continue;
    wakes_[host]->talkers[key(talkers[side]->id())] = talkers[side];
    talkers[side]->raise(stack.tcp_ready(talkers[side]->id()));  // to the host itself all may be over by now
    if (side == 0) {
      const Result<TcpStatus> status = stack.tcp_status(talkers[side]->id());
      if (status) talk.client_end = status->local;
    }
  }
  talk.reached = plan.simultaneous;
}

// Whose connection has come out of the accept queue? The client's address and port say.
Talker* Simulation::accepted(size_t host, SocketId id) {
  Stack& stack = net_.stack(host);
  const Result<TcpStatus> status = stack.tcp_status(id);
  if (!status) return (complain("accepted a connection without a status"), nullptr);
  for (size_t i = conversations_.size(); i-- > 0;) {
    Conversation& talk = conversations_[i];
    const ConversationPlan& plan = scenario_.conversations[i];
    const LinkPlan& link = scenario_.links[plan.link];
    const Endpoint server_end{link.addresses[plan.server_end()], plan.server_port};
    // One ephemeral port may serve several connections, as long as their servers differ.
    if (!talk.started || talk.reached || talk.client_end != status->remote || server_end != status->local) continue;
    talk.reached = true;
    wakes_[host]->talkers[key(id)] = talk.server.get();
    talk.server->adopt(stack, id, net_.now());
    return talk.server.get();
  }
  // Where every connection begins with the same number, old segments that come late may well make one.
  if (!scenario_.hosts[host].config.tcp.isn_for_tests)
    complain(fmt::format("accepted a connection from {} that nobody opened", status->remote.to_string()));
  stack.tcp_abort(id, net_.now());
  return nullptr;
}

bool Simulation::may_start(size_t index) {
  Conversation& talk = conversations_[index];
  const ConversationPlan& plan = scenario_.conversations[index];
  if (talk.started || net_.now() < Time(plan.start)) return false;
  if (plan.again < 0) return true;
  const Conversation& before = conversations_[static_cast<size_t>(plan.again)];
  if (!before.client->done()) return false;
  // The server never saw the first one: whose connection it would accept next, its ports could not tell.
  if (!before.reached) {
    talk.started = true;
    talk.client->leave();
  }
  if (!before.reached || !before.server->done()) return false;
  // Not in the same moment: initial sequence numbers move on with the clock.
  if (talk.not_before == kNever) talk.not_before = net_.now() + 1ms;
  return talk.not_before <= net_.now();
}

// Every application that is due takes a turn; true when one did.
bool Simulation::take_turns() {
  const Time now = net_.now();
  bool any = false;
  for (size_t i = 0; i < conversations_.size(); ++i) {
    if (may_start(i)) {
      start_conversation(i);
      any = true;
    }
    for (Talker* talker : {conversations_[i].client.get(), conversations_[i].server.get()}) {
      if (!talker->wants_turn(now)) continue;
      talker->take_turn(now);
      any = true;
    }
  }
  for (const auto& acceptor : acceptors_)
    if (acceptor->wants_turn(now)) any = (acceptor->take_turn(now), true);
  for (const auto& stream : streams_)
    if (stream->wants_turn(now)) any = (stream->take_turn(now), true);
  return any;
}

Time Simulation::next_wake() const {
  Time next = kNever;
  for (size_t i = 0; i < conversations_.size(); ++i) {
    const ConversationPlan& plan = scenario_.conversations[i];
    const Time start = plan.again < 0 ? Time(plan.start) : conversations_[i].not_before;
    if (!conversations_[i].started) next = std::min(next, start);
    next = std::min({next, conversations_[i].client->wake(), conversations_[i].server->wake()});
  }
  for (const auto& acceptor : acceptors_) next = std::min(next, acceptor->wake());
  for (const auto& stream : streams_) next = std::min(next, stream->wake());
  return next;
}

bool Simulation::applications_done() const {
  for (size_t i = 0; i < conversations_.size(); ++i) {
    const Conversation& talk = conversations_[i];
    if (!talk.started || !talk.client->done()) return false;
    // A client that failed may never have been noticed by the server.
    const bool unnoticed = talk.server->phase() == Talker::Phase::idle && !scenario_.conversations[i].must_finish;
    if (!talk.server->done() && !unnoticed) return false;
  }
  return std::ranges::all_of(streams_, [](const auto& stream) { return stream->done(); });
}

void Simulation::drive(Time until) {
  uint64_t steps_at_once = 0;
  Time last{};
  while (failure_.empty() && !applications_done()) {
    uint64_t turns = 0;
    while (failure_.empty() && take_turns()) {
      if (++turns > kMostStepsAtOnce) return complain("no end of turns; " + describe_unfinished());
      for (size_t host = 0; host < net_.hosts(); ++host) {
        net_.stack(host).flush(net_.now());
        check_host(host);
      }
    }
    steps_at_once = net_.now() == last ? steps_at_once + 1 : 0;
    last = net_.now();
    if (net_.steps() > kMostSteps || steps_at_once > kMostStepsAtOnce)
      return complain("no end of steps; " + describe_unfinished());
    const Time wake = std::min(next_wake(), until);
    if (net_.step(wake)) continue;
    if (net_.now() >= until) return;
  }
}

Verdict Simulation::run() {
  build_applications();
  drive(kGiveUp);
  if (failure_.empty()) finish();
  Verdict verdict{.failure = failure_,
                  .hash = net_.hash(),
                  .segments = net_.frames_delivered(),
                  .steps = net_.steps(),
                  .bytes = 0,
                  .virtual_time = net_.now().time_since_epoch()};
  for (const Conversation& talk : conversations_) verdict.bytes += talk.client->received() + talk.server->received();
  return verdict;
}

// The applications leave: what had to finish has; then the stacks must come to rest, and everything be given back.
void Simulation::finish() {
  for (size_t i = 0; i < conversations_.size(); ++i) {
    const ConversationPlan& plan = scenario_.conversations[i];
    for (Talker* talker : {conversations_[i].client.get(), conversations_[i].server.get()}) {
      if (plan.must_finish && !talker->done()) complain("not finished: " + describe_unfinished());
      if (!talker->done() && talker->phase() != Talker::Phase::idle) talker->give_up(net_.now());
    }
  }
  for (const auto& acceptor : acceptors_) acceptor->close(net_.now());
  for (const auto& stream : streams_) stream->close();
  if (failure_.empty()) expect_silence();
}

void Simulation::expect_silence() {
  const Time patience = net_.now() + kPatience;
  while (failure_.empty() && net_.step(patience)) {
    if (net_.steps() > kMostSteps) return complain("the stacks do not come to rest");
  }
  if (!failure_.empty()) return;
  for (size_t host = 0; host < net_.hosts(); ++host) {
    Stack& stack = net_.stack(host);
    const std::vector<TcpStatus> left = stack.tcp_list();
    if (!left.empty()) {
      complain(fmt::format("host {}: {} sockets are left, the first {} {} > {}", net_.name(host), left.size(),
                           limpid::name(left[0].state), left[0].local.to_string(), left[0].remote.to_string()));
    }
    if (stack.tcp_unfinished() != 0)
      complain(fmt::format("host {}: {} unfinished", net_.name(host), stack.tcp_unfinished()));
    if (!stack.udp_list().empty()) complain(fmt::format("host {}: a datagram socket is left", net_.name(host)));
    if (stack.frames().frames_out() != 0) {
      complain(
          fmt::format("host {}: {} frames are not back in their pool", net_.name(host), stack.frames().frames_out()));
    }
    if (net_.next_event() != kNever) complain(fmt::format("host {}: a timer still runs", net_.name(host)));
  }
}

void Simulation::check_host(size_t host) {
  const std::string broken = net_.stack(host).check_invariants(net_.now());
  if (!broken.empty()) complain(fmt::format("host {}: {}", net_.name(host), broken));
}

std::string Simulation::describe_unfinished() const {
  std::string text;
  for (const Conversation& talk : conversations_) {
    for (const Talker* talker : {talk.client.get(), talk.server.get()})
      if (!talker->done()) text += "\n    " + talker->describe();
  }
  return text;
}

}  // namespace limpid::sim
