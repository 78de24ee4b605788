// One TCP connection from SYN-SENT or ESTABLISHED to its end (listeners, half-open and TIME-WAIT ones are types of
// their own).
//
//   on_segment()  input.cc    mutates: walks RFC 9293 §3.10.7 in its order, one function a step
//   output()      output.cc   decides: makes SegmentPlans until there is nothing to send, and commits those that the
//   device took on_timer()    timer_events.cc   the deadline says when user calls    user_calls.cc     RFC 9293 §3.10.1
//   to §3.10.6
//
// set_state() is the only writer of `state`. A step that is `inline` stands in the one file that calls it: it is taken
// for each segment, and costs no call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "stack/base/intrusive_list.h"
#include "stack/base/members.h"
#include "stack/buffer/byte_queue.h"
#include "stack/tcp/burst.h"
#include "stack/tcp/congestion.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/ecn.h"
#include "stack/tcp/environment.h"
#include "stack/tcp/negotiated.h"
#include "stack/tcp/path_mtu.h"
#include "stack/tcp/receiver.h"
#include "stack/tcp/recovery.h"
#include "stack/tcp/rtt.h"
#include "stack/tcp/sack_report.h"
#include "stack/tcp/segment.h"
#include "stack/tcp/segment_plan.h"
#include "stack/tcp/send_pace.h"
#include "stack/tcp/status.h"
#include "stack/tcp/timers.h"
#include "stack/tcp/traffic.h"

namespace limpid {

// How a connection holds its local port: by the claim of its own bind(), or as one of the counted ones of the port
// table.
struct PortHold {
  BindId claim;
  bool counted = false;
  ReusePolicy reuse;

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&PortHold::claim, &PortHold::counted, &PortHold::reuse);
  }
};

// What became of a segment: the name of the step that it ended at.
enum class Verdict : uint8_t {
  next,          // this step has no objection: go on with the next one
  taken,         // all steps passed
  unacceptable,  // outside the window; answered with an ACK
  reset_taken,   // an acceptable RST ended the connection
  challenged,    // a RST, SYN or ACK that may be forged; answered with a challenge ACK
  no_ack,        // dropped: no ACK bit
  bad_ack,       // acknowledges what was never sent; answered with RST (before synchronization) or ACK
  ignored,       // means nothing in this state
  refused_text,  // text for a user that has gone; answered with RST
};

// The send sequence variables of RFC 9293 §3.3.1.
struct SendVariables {
  SeqPos una;            // oldest unacknowledged
  SeqPos nxt;            // next to be sent for the first time
  uint32_t wnd = 0;      // what the peer allows beyond una, bytes
  uint32_t max_wnd = 0;  // the largest that it ever allowed
  SeqPos wl1;            // segment sequence number used for the last window update
  SeqPos wl2;            // segment acknowledgment number used for it
  SeqPos up;             // urgent pointer: one past the last urgent octet

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&SendVariables::una, &SendVariables::nxt, &SendVariables::wnd, &SendVariables::max_wnd,
             &SendVariables::wl1, &SendVariables::wl2, &SendVariables::up);
  }
};

class Listener;

class Connection : public ListHook<DirtyTag>,
                   public ListHook<BlockedTag>,
                   public ListHook<HeldTag>,
                   public ListHook<ClockTag> {
 public:
  Connection(TcpEnvironment& env, uint32_t number, const FourTuple& tuple, const Path& path, const TcpOptions& options);

  // --- opening ---
  void open_actively(Seq iss, SynText text, Time now);
  // From a half-open entry whose SYN,ACK was acknowledged: the handshake's results.
  struct Handshake {
    Seq iss;
    Seq irs;
    Negotiated agreed;
    uint32_t peer_window = 0;  // of the SYN, not scaled
    bool syn_ack_was_lost = false;
    Duration rtt{};  // of SYN,ACK and its ACK; 0 when it was sent twice
    RecentTimestamp recent;
  };
  void open_passively(const Handshake& handshake, Time now);
  // From a SYN whose text may be taken at once (RFC 7413 §4.2.2); `answer`: the Fast Open option of our SYN,ACK.
  void open_fast(const Handshake& handshake, Segment& syn, const std::optional<FastOpenOption>& answer, Time now);

  // --- the world moves ---
  // The door: header numbers become positions.
  Segment unwrap_segment(const TcpHeader& header, SliceChain text) const;
  SeqPos unwrap_own(Seq seq) const { return unwrap(seq, iss_, snd_.una); }  // a number of ours, quoted by an ICMP error
  Verdict on_segment(Segment& segment, Time now);
  void on_timer(Time now);
  enum class Extent : uint8_t { all, one_burst };
  void output(Time now, Extent extent = Extent::all);
  void time_wait_over() { state_ = transition(state_, TcpEvent::timeout); }
  void on_icmp_error(uint8_t type, uint8_t code, uint32_t mtu, SeqPos quoted, Time now);

  // --- the user ---
  Result<size_t> send(ByteSpan bytes, TcpSendFlags flags, Time now);
  Result<size_t> receive(MutableByteSpan into, TcpReceiveFlags flags, Time now);
  // SEND and RECEIVE without a copy (in_place.cc).
  Result<size_t> reserve(size_t most, SendRoom& room, Time now);
  Result<void> commit(SendRoom& room, size_t length, TcpSendFlags flags, Time now);
  void give_back(SendRoom& room, Time now);
  Result<size_t> borrow(size_t most, LentText& into, Time now);
  void give_back(LentText& text, Time now);
  Result<void> shutdown_send(Time now);
  void shutdown_receive(Time now);
  void close(Time now);  // the user lets go
  void abort(Rule why, Time now);
  // How much text the SYN takes along that waits for it; none: no SYN waits.
  std::optional<uint32_t> syn_text_room() const;
  void set_options(const TcpOptions& options, Time now);
  ReadyEvents readiness() const;
  // SO_ERROR: what ended the connection; or, while it lives, a hint that ICMP gave (RFC 9293 §3.9.1.8).
  Error take_error() { return std::exchange(error_ != Error::none ? error_ : soft_error_, Error::none); }

  // --- who holds it ---
  void attach(SocketId id) {
    id_ = id;
    attached_ = true;
  }
  void detach() { attached_ = false; }
  bool attached() const { return attached_; }
  SocketId id() const { return id_; }

  // --- looking in ---
  TcpState state() const { return state_; }
  bool released() const {
    return state_ == TcpState::closed || state_ == TcpState::time_wait;
  }  // no longer on the network
  const FourTuple& tuple() const { return demux_.tuple; }
  uint32_t number() const { return number_; }
  const TcpOptions& options() const { return options_; }
  const Path& path() const { return path_; }
  const SendVariables& snd() const { return snd_; }
  const Receiver& receiver() const { return rcv_; }
  const ByteQueue& send_queue() const { return queue_; }
  const Recovery& recovery() const { return recovery_; }
  const Congestion& congestion() const { return congestion_; }
  Seq next_wire_seq() const { return wrap(snd_.nxt, iss_); }
  Seq next_wire_ack() const { return wrap(rcv_.nxt(), irs_); }
  Seq initial_sequence() const { return iss_; }
  Seq peer_initial_sequence() const { return irs_; }
  uint16_t wire_window() const { return rcv_.window(agreed_.window_scaling, agreed_.advertised_mss).wire; }
  const Negotiated& agreed() const { return agreed_; }
  const RecentTimestamp& recent_timestamp() const { return recent_; }
  uint8_t receive_shift() const { return agreed_.receive_shift; }
  bool owes_ack() const { return ack_now_; }
  // output() would send nothing but an ACK that may be left out for a moment: one that is due early, or for a FIN, if
  // whoever reads what came may soon answer; one amid bulk, if more is about to come.
  bool holds_ack(AcksWait acks, Time now);
  // What is held for the next words of our user is to go, whoever else may run; false: it may wait on.
  bool release_held(Release what, Time now);
  Error error() const { return error_; }
  uint8_t interface() const { return path_.interface; }
  size_t unsent() const { return static_cast<size_t>(data_end() - std::min(snd_.nxt, data_end())); }
  uint32_t in_flight() const { return recovery_.in_flight(mss_); }
  Time next_deadline() const { return timers_.next_deadline(); }
  TcpStatus status() const;
  // Nothing waits, is under way or is owed: what there is to know of it are numbers (fold.h).
  bool quiet() const;
  // What must always hold; null when it does.
  const char* broken_invariant(Time now) const;

  DemuxEntry demux_;                // its place in the demux
  TimerEntry timer_;                // its entry in the timer queue
  PortHold port_;                   // how it holds its local port
  Handle<Listener> listener_;       // whose accept queue it came through
  bool waits_for_accept_ = false;   // in the queue of a listener: nobody is to be woken yet
  bool orphaned_ = false;           // the user has let go, and the stack counts it among such
  bool fast_open_pending_ = false;  // the listener counts it among those whose handshake goes on
  bool used_ = false;               // since its table looked at it

 private:
  // --- input.cc: RFC 9293 §3.10.7.3 and §3.10.7.4 in order ---
  Verdict arrives_in_syn_sent(Segment& s, Time now);
  inline Verdict check_sequence(Segment& s, Time now);
  void take_ack_of_unacceptable(const Segment& s, Time now);
  inline Verdict check_reset(const Segment& s, Time now);
  inline Verdict check_syn(const Segment& s, Time now);
  inline Verdict check_ack(const Segment& s, Time now);
  Verdict ack_in_syn_received(const Segment& s, Time now);
  void take_window(const Segment& s, Time now);
  void check_urgent(const Segment& s, Time now);
  void check_fin(Time now);
  void answer_with_ack(const Segment& s, Rule why, Time now);
  void challenge(Rule why, Time now);
  bool answered_lately(Time now);
  void hear_from_peer(Time now) {
    last_received_ = now;
    keepalives_ = 0;
  }
  void drop(const Segment& s, Counter reason, Rule why, Time now);

  // --- fast_open_client.cc: RFC 7413 §4.2 ---
  void attempt_fast_open();
  void release_syn(Time now);
  bool carries_fast_open(const SegmentPlan& plan) const;
  void remember_server(const Segment& syn_ack);
  void conclude_fast_open(Time now);
  bool syn_ack_is_old(const Segment& s, Time now) const;

  // --- text_input.cc: the seventh step ---
  Verdict take_text(Segment& s, Time now);
  inline void note_arrival_of_text(SeqPos at, const ReassemblyQueue::Inserted& in, Time now);
  inline void bound_out_of_order(SeqPos at, const ReassemblyQueue::Inserted& in);
  inline void choose_ack(const ReassemblyQueue::Inserted& in, Time now);
  void note_duplicate(SeqPos begin, SeqPos end);
  inline void note_traffic_in(const Segment& s, const ReassemblyQueue::Inserted& in, Time now);
  void tune_receive_buffer(Time now);
  void tune_receive_buffer_for_gap(SeqPos at);
  bool tunes_receive_buffer() const {
    return traffic_ && options_.receive_buffer == 0 && env_.config.tune_receive_buffer;
  }
  void widen_receive_buffer(uint32_t wanted);
  void expect_quick_acks(uint32_t length, Time now);

  // --- timestamps.cc: RFC 7323 ---
  Verdict check_timestamp(const Segment& s, Time now);
  void note_timestamp(const Segment& s, Time now);
  std::optional<int64_t> echoed_at(uint32_t echo, Time now) const;

  // --- acknowledgments.cc ---
  struct FlightBefore {        // before an ACK, bytes
    uint32_t in_flight = 0;    // the pipe
    uint32_t flight_size = 0;  // FlightSize of RFC 5681, without what limited transmit added
  };
  void take_ack(const Segment& s, bool duplicate, Time now);
  bool tells_of_window_only(const Segment& s) const;
  void take_news(const Segment& s, bool duplicate, Time now);
  AckInput ack_input(const Segment& s, bool duplicate, Time now) const;
  void on_new_ack(SeqPos ack, Time now);
  bool is_duplicate_ack(const Segment& s) const;
  void check_echo(const Segment& s, uint32_t flight_size, Time now);
  Duration sample_rtt(const AckNews& news);
  void tell_congestion(const Conclusions& c, uint32_t flight_size, Time now);
  void tell_congestion(const AckNews& news, const FlightBefore& before, Duration rtt, const Conclusions& c, Time now);
  void trace_conclusions(CaState before, const Conclusions& c, Time now) {
    if (env_.tracer.on()) emit_conclusions(before, c, now);
  }
  void emit_conclusions(CaState before, const Conclusions& c, Time now);

  // --- loss_timers.cc: RFC 8985 §8, one of three ---
  bool loss_timer_running() const {
    return timers_.running(TcpTimer::rto) || timers_.running(TcpTimer::reordering) ||
           timers_.running(TcpTimer::tail_probe);
  }
  void cancel_loss_timers(Time now) {
    if (loss_timer_running()) stop_loss_timers(now);
  }
  void stop_loss_timers(Time now);
  void run_loss_timer(TcpTimer timer, Duration delay, Time now);
  void arm_loss_timer(bool advanced, std::optional<Duration> reordering, Time now);
  void arm_loss_timer_for(const SegmentPlan& plan, Time now);
  void arm_loss_timer_behind_text(Time now);
  bool may_probe_tail() const;
  void run_probe_or_rto(Duration rto, Time now);
  Duration until_rto(Time now) const;
  void on_reordering_timeout(Time now);
  void on_tail_probe_timeout(Time now);

  // --- output.cc ---
  inline SegmentPlan next_plan(Time now);
  SegmentPlan plan_syn() const;
  SegmentPlan plan_resend();
  SegmentPlan plan_risked_resend();
  SegmentPlan plan_tail_probe() const;
  SegmentPlan plan_range(const SentRange& range) const;
  SegmentPlan plan_again(const SentRange& range) const;
  inline SegmentPlan plan_new_data(Time now);
  SegmentPlan plan_probe() const;
  SegmentPlan plan_keepalive() const;
  SegmentPlan plan_ack() const;
  bool worth_sending(uint32_t length, uint32_t unsent, uint32_t usable) const {
    return length == mss_ || override_due_ || small_is_worth_sending(length, unsent, usable);
  }
  bool small_is_worth_sending(uint32_t length, uint32_t unsent, uint32_t usable) const;
  // Whether IP may be given a burst in one piece. Urgent data stays apart, since a pointer is copied to each packet as
  // it is; so does CWR, which belongs on one. A pacer spreads segments more finely than bursts, unless the device wants
  // these.
  bool may_go_uncut() const {
    if (!path_.in_one_piece || (!path_.offloads && paced())) return false;
    return snd_.up <= snd_.nxt && !ecn_.tells_reduction();
  }
  void take_whole_burst(SegmentPlan& plan) const;
  uint32_t burst_most() const;
  uint32_t largest_burst() const;
  bool better_later(uint32_t usable, uint32_t allowed, Time now);
  // The ACK that is due is one amid bulk, and its sender has window left: one for more of it will do.
  bool is_bulk_ack() const {
    return ack_now_ && ack_reason_ == Rule::tcp_ack_second && path_.offloads && rcv_.mostly_open();
  }
  bool tail_waits() const;
  Burst begin_burst(uint32_t unsent, uint32_t usable, uint32_t allowed) const;
  Burst begin_resend_burst(const SentRange& range) const;
  bool push_due(SeqPos at) const { return traffic_ && traffic_->chunks.pushes(at, data_end()); }
  struct Row;  // what the segments of one output have in common
  SendOutcome transmit(const SegmentPlan& plan, Row& row, Time now);
  inline void begin_row(Row& row, const SegmentPlan& plan, Time now) const;
  inline bool carries_on(const Row& row, const SegmentPlan& plan) const;
  inline void fill_progress(TcpHeader& h, const SegmentPlan& plan) const;
  inline FrameOffload write_header(Row& row, const SegmentPlan& plan, std::span<const ByteSpan> body, bool on) const;
  uint8_t ecn_flags(const SegmentPlan& plan) const;
  bool ecn_capable(const SegmentPlan& plan) const;
  inline void commit(const SegmentPlan& plan, const Receiver::Window& window, Time now);
  inline void note_sent(const SegmentPlan& plan, Time now);
  void send_reset(Rule why, Time now);

  // --- pacing.cc ---
  bool paced() const {
    return congestion_.bbr() != nullptr || options_.max_pacing_rate != UINT64_MAX || env_.config.pacing;
  }
  uint64_t pacing_rate() const;
  // Whether the next burst is still to come: output stops there, and the timer drives it on.
  bool held_back_by_pace() {
    if (!timers_.running(TcpTimer::pacing)) return false;
    pace_->held_back = true;
    return true;
  }
  DeliveryStamp stamp_text(const SegmentPlan& plan, Time now);
  void pace(uint32_t length, Time now);
  void note_app_limit();
  RateSample sample_rate(const AckNews& news, Time now);
  void fill_pace(TcpStatus& s) const;

  // --- option_output.cc ---
  TcpOptionSet syn_options(Time now) const;
  void add_options(TcpOptionSet& o, const SegmentPlan& plan, Time now) const;
  TcpTimestamps our_timestamps(Time now) const;
  void add_sack(TcpOptionSet& o) const;
  // An MSS counts no options (RFC 6691): mss_ has made room for the timestamps, and SACK blocks take theirs from the
  // text that they go with.
  uint32_t text_room(const TcpOptionSet& options) const {
    return mss_ - (options.sack_count > 0 ? 4u + 8u * options.sack_count : 0u);
  }

  // --- timer_events.cc ---
  void on_retransmission_timeout(Time now);
  void presume_lost(bool first, Time now);
  void on_persist_timeout(Time now);
  void on_keepalive_timeout(Time now);
  void set_timer(TcpTimer timer, Duration delay, Time now) {
    timers_.set(timer, now + delay);
    if (env_.tracer.on()) emit_timer_set(timer, delay, now);
  }
  void cancel_timer(TcpTimer timer, Time now) {
    if (!timers_.running(timer)) return;
    timers_.cancel(timer);
    env_.tracer.emit(EventKind::tcp_timer_cancelled, Rule::none, number_, now, {static_cast<uint32_t>(timer)});
  }
  void emit_timer_set(TcpTimer timer, Duration delay, Time now);
  void adjust_timers(Time now);  // after every step: what should run, runs
  bool user_gave_up(Time now) const;
  Duration within_user_timeout(Duration delay, Time now) const;
  bool must_probe() const {  // there is something to say, and the peer's window is zero
    return snd_.wnd == 0 && synchronized(state_) &&
           (snd_.una < snd_.nxt || unsent() > 0 || (fin_queued_ && !fin_sent()));
  }
  Duration keepalive_time() const;
  Duration keepalive_interval() const;
  uint32_t keepalive_probes() const;
  uint32_t retry_limit() const;

  // --- why_slow.cc ---
  void account(Time now);  // after every step: which limit the connection is in
  SendLimit send_limit() const;
  SendLimit what_is_awaited() const;
  SendLimit what_holds_back() const;
  SendLimit repair_limit() const;
  ReceiveLimit receive_limit() const;
  void charge_late(SendLimit to, Time expected, Time now);
  void note_delayed_ack(const AckNews& news, Time now);
  void note_timer_wait(SendLimit to, Time now);

  // --- path_mtu.cc: RFC 1191, 4821, 5927 ---
  PathMtuDoubts& mtu_doubts();
  void follow_path_mtu(Time now);
  void set_send_mss(Rule why, Time now);
  void note_delivered(SeqPos before, SeqPos ack);
  void on_fragmentation_needed(uint32_t mtu, SeqPos quoted, Time now);
  void believe_path_mtu(uint32_t mtu, Time now);
  void resend_syn_bare(uint32_t mtu, Time now);
  void suspect_path(Time now);

  Traffic& traffic() {
    if (!traffic_) traffic_ = std::make_unique<Traffic>();
    return *traffic_;
  }

  // --- connection.cc ---
  void set_state(TcpEvent event, Rule why, Time now);
  void die(TcpEvent event, Error error, Rule why, Time now);  // the connection ends here, with this error for the user
  void raise(ReadyEvents events);
  void mark_dirty();
  void want_ack(Rule why) {
    ack_now_ = true;
    ack_reason_ = why;
  }
  // Whether anybody listens is asked here, so that it costs one test and no call.
  void trace_metrics(Rule why, Time now) {
    if (env_.tracer.on()) emit_metrics(why, now);
  }
  EventNumber trace_segment(const SegmentPlan& plan, const TcpHeader& header, Time now) {
    return env_.tracer.on() ? emit_segment(plan, header, now) : 0;
  }
  void trace_arrival(const Segment& s, Time now) {
    if (env_.tracer.on()) emit_arrival(s, now);
  }
  void emit_metrics(Rule why, Time now);
  EventNumber emit_segment(const SegmentPlan& plan, const TcpHeader& header, Time now);
  void emit_arrival(const Segment& s, Time now);

  SeqPos data_end() const { return SeqPos::from_stream(queue_.end()); }  // behind the last octet that the user gave us
  // Text may go: both ends know both sequence numbers, or the SYN of this one was as good as a handshake (RFC 7413).
  bool may_carry_text() const { return synchronized(state_) || (opened_fast_ && state_ == TcpState::syn_received); }
  bool syn_goes_bare() const { return fast_open_ && fast_open_->bare; }
  bool syn_held() const { return fast_open_ && fast_open_->held; }
  bool fin_sent() const { return snd_.nxt > data_end(); }
  bool fin_acked() const { return fin_sent() && snd_.una == snd_.nxt; }
  // --- send_buffer.cc ---
  uint32_t send_buffer() const;
  uint64_t send_charge(size_t bytes) const;
  size_t send_room() const;
  void tell_room();
  bool has_room() const;
  void widen_send_buffer();
  uint64_t unsent_low_water() const {
    return options_.unsent_low_water > 0 ? options_.unsent_low_water : env_.config.unsent_low_water;
  }
  size_t chunk_goal() const;
  size_t next_helping();
  void write(ByteSpan bytes, bool begins);
  void conclude_send(size_t taken, bool whole, TcpSendFlags flags, Time now);
  Result<size_t> no_text();
  void tell_window(Time now);
  size_t reservable() const;
  void divide(size_t length);
  void note_mss();

  TcpEnvironment& env_;
  Path path_;
  TcpOptions options_;
  SocketId id_;
  uint32_t number_;
  TcpState state_ = TcpState::closed;
  Error error_ = Error::none;       // pending, for the user to fetch once
  Error soft_error_ = Error::none;  // an ICMP hint, told only if the connection then times out

  Seq iss_;
  Seq irs_;
  SendVariables snd_;
  ByteQueue queue_;
  Receiver rcv_;
  Negotiated agreed_;
  RttEstimator rtt_;
  Congestion congestion_;
  Ecn ecn_;
  Recovery recovery_;
  TimerTable timers_;
  Burst burst_;
  LimitAccount limits_;
  std::unique_ptr<SendPace> pace_;  // with the first text
  std::unique_ptr<Traffic> traffic_;
  uint32_t send_space_ = 0;  // bytes: what the send buffer has grown to, if the user has set no size
  uint32_t reserved_ = 0;    // bytes of room that the user writes itself, and has not committed yet
  SeqPos small_end_;         // of the last segment that was not full (Nagle)

  uint32_t timestamp_offset_;   // of our clock on the wire
  RecentTimestamp recent_;      // TS.Recent (RFC 7323 §4.3)
  SeqPos last_ack_sent_;        // Last.ACK.sent
  SeqPos rtt_sampled_to_;       // SND.NXT at the last sample that moved SRTT
  uint32_t mss_ = 536;          // of what we send
  uint32_t delivered_mss_ = 0;  // segments of this size came through
  uint32_t mtu_version_ = 0;    // of the host's estimates, when we looked
  Time mtu_until_ = kNever;     // and when ours is forgotten
  std::unique_ptr<PathMtuDoubts> mtu_doubts_;
  uint32_t timeouts_ = 0;        // consecutive expiries of the retransmission timer
  uint32_t probes_ = 0;          // window probes since the peer last answered
  Duration probe_interval_{};    // until the next window probe; grows while the window stays zero
  uint32_t peer_segment_ = 0;    // the largest text seen in a segment: what counts as full-sized
  uint32_t octets_unacked_ = 0;  // of text, received since our last ACK
  uint32_t keepalives_ = 0;      // keep-alive probes since the peer last answered
  Time stalled_since_ = kNever;  // when the oldest octet without answer was first sent (TCP_USER_TIMEOUT)

  std::unique_ptr<FastOpenAttempt> fast_open_;  // until the other end has the text of the SYN, or never will
  SackReport sack_report_;
  Time last_text_{-1h};     // when text arrived last
  uint8_t quick_acks_ = 0;  // so many ACKs more go at once, without waiting for company

  bool attached_ = false;    // a user holds it, or it waits in an accept queue
  bool fin_queued_ = false;  // the user closed its direction
  bool receive_shut_ = false;
  bool opened_fast_ = false;     // passively, by a SYN with a good cookie
  bool syn_text_acked_ = false;  // for TCP_INFO: the SYN's text was taken
  bool syn_due_ = false;         // SYN (or SYN,ACK) is to be sent (again)
  bool ack_now_ = false;
  bool probe_due_ = false;
  bool tail_probe_due_ = false;
  bool keepalive_due_ = false;
  bool override_due_ = false;   // silly-window avoidance has waited long enough
  bool more_coming_ = false;    // MSG_MORE of the last send, until something is acknowledged (as Linux)
  bool tail_may_wait_ = false;  // what the last SEND left over, for the next one, until it is released
  bool room_told_ = true;       // the user knows that it may write
  bool writer_waits_ = false;   // a SEND was not taken whole, and there is no room yet
  bool acked_ = false;          // an ACK came since the last output
  bool deferred_ = false;       // the last output left a burst for later
  bool text_went_ = false;      // new text, whose loss timer is set when the output is over
  bool in_write_ = false;       // output is to send the first burst of a long SEND: that does not wait
  bool probed_ = false;         // into the window that is zero now
  Rule ack_reason_ = Rule::none;
  Time last_invalid_answer_{-1h};

  // --- statistics ---
  Time opened_{};
  Time last_received_{};  // that was believed: what was dropped does not count as a sign of life
  Time last_sent_{};
  uint64_t segments_in_ = 0;
  uint64_t segments_out_ = 0;
  uint64_t resent_ = 0;

 public:
  // For folding: what is not written is empty in a quiet connection, or said by its place, or by its constructor.
  template <class V>
  static constexpr auto members(V&& v) {
    return v(
        Elsewhere<ListHook<DirtyTag>>{}, Elsewhere<ListHook<BlockedTag>>{}, Elsewhere<ListHook<HeldTag>>{},
        Elsewhere<ListHook<ClockTag>>{}, Elsewhere<DemuxEntry>{}, Elsewhere<TimerEntry>{}, &Connection::port_,
        &Connection::listener_, &Connection::waits_for_accept_, &Connection::orphaned_, &Connection::fast_open_pending_,
        Elsewhere<bool>{}, Elsewhere<TcpEnvironment*>{}, &Connection::path_, &Connection::options_, &Connection::id_,
        &Connection::number_, &Connection::state_, &Connection::error_, &Connection::soft_error_, &Connection::iss_,
        &Connection::irs_, &Connection::snd_, &Connection::queue_, &Connection::rcv_, &Connection::agreed_,
        &Connection::rtt_, &Connection::congestion_, &Connection::ecn_, &Connection::recovery_, &Connection::timers_,
        &Connection::burst_, &Connection::limits_, &Connection::pace_, &Connection::traffic_, &Connection::send_space_,
        &Connection::reserved_, &Connection::small_end_, Elsewhere<uint32_t>{}, &Connection::recent_,
        &Connection::last_ack_sent_, &Connection::rtt_sampled_to_, &Connection::mss_, &Connection::delivered_mss_,
        &Connection::mtu_version_, &Connection::mtu_until_, &Connection::mtu_doubts_, &Connection::timeouts_,
        &Connection::probes_, &Connection::probe_interval_, &Connection::peer_segment_, &Connection::octets_unacked_,
        &Connection::keepalives_, &Connection::stalled_since_, Elsewhere<std::unique_ptr<FastOpenAttempt>>{},
        Elsewhere<SackReport>{}, &Connection::last_text_, &Connection::quick_acks_, &Connection::attached_,
        &Connection::fin_queued_, &Connection::receive_shut_, &Connection::opened_fast_, &Connection::syn_text_acked_,
        &Connection::syn_due_, &Connection::ack_now_, &Connection::probe_due_, &Connection::tail_probe_due_,
        &Connection::keepalive_due_, &Connection::override_due_, &Connection::more_coming_, &Connection::tail_may_wait_,
        &Connection::room_told_, &Connection::writer_waits_, &Connection::acked_, &Connection::deferred_,
        &Connection::in_write_, &Connection::text_went_, &Connection::probed_, &Connection::ack_reason_,
        &Connection::last_invalid_answer_, &Connection::opened_, &Connection::last_received_, &Connection::last_sent_,
        &Connection::segments_in_, &Connection::segments_out_, &Connection::resent_);
  }
};

}  // namespace limpid
