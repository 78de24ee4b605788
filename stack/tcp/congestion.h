// How much may go: the congestion window, moved by one of several algorithms (cc_reno, cc_cubic, cc_bbr;
// TCP_CONGESTION).
//
// It is told what happened (AckEvent, LossEvent, …) and owns the window. It never sees the sender, and does not know
// which bytes are lost: that is recovery's business. What the algorithms share lives here:
//
//   open       ACKs open the window as the algorithm says
//   recovery   after a loss, or a mark: the window comes down to ssthresh proportionally (prr.h)
//   loss       after a timeout: slow start from one segment
//
// BBR takes part in none of that: it hears of each ACK and each loss, and says itself what the window is.
//
// on_undo() brings back what stood before the last loss, if that turns out to have been none.
#pragma once

#include <memory>
#include <variant>

#include "stack/config.h"
#include "stack/tcp/cc_bbr.h"
#include "stack/tcp/cc_cubic.h"
#include "stack/tcp/cc_reno.h"
#include "stack/tcp/cc_window.h"
#include "stack/tcp/prr.h"
#include "stack/tcp/window_usage.h"

namespace limpid {

class Congestion {
 public:
  Congestion(const TcpConfig& config, CongestionChoice choice, uint32_t mss);

  uint32_t cwnd() const { return w_.cwnd; }
  uint32_t ssthresh() const { return w_.ssthresh; }  // UINT32_MAX: arbitrarily high, nothing was lost yet
  bool in_slow_start() const { return w_.in_slow_start(); }
  CongestionChoice choice() const { return static_cast<CongestionChoice>(algorithm_.index() + 1); }

  const BbrModel* bbr() const {  // null: another algorithm
    const Bbr* bbr = std::get_if<Bbr>(&algorithm_);
    return bbr != nullptr ? &bbr->model() : nullptr;
  }
  // Bytes a second; 0: not known. Linux's for algorithms that have no rate of their own: what makes the window go
  // within a round trip, with room for growth.
  uint64_t pacing_rate(Duration srtt) const;

  // Another algorithm takes over the window as it stands (as Linux).
  void choose(CongestionChoice choice);
  // The initial window follows it until something was sent; later the window keeps its number of segments when
  // they become smaller, and its octets when they become larger (RFC 4821 §4).
  void set_mss(uint32_t mss);
  void on_syn_lost() { w_.cwnd = w_.mss; }  // RFC 5681 §3.1: after a lost SYN the initial window is one segment

  // New data acknowledged; in recovery also for each ACK that delivered something; BBR is told of each that delivered,
  // or lost, anything at all. Why the window is now what it is.
  Rule on_ack(AckEvent ack);
  void on_loss(const LossEvent& loss);
  void on_recovered(uint32_t in_flight, bool by_sack = true);
  void on_undo();

  void on_sent(uint32_t bytes) {  // text, old or new
    if (episode_) episode_->prr.on_sent(bytes);
  }
  void on_output(SeqPos una, SeqPos nxt, uint32_t in_flight, bool sent,
                 bool deferred = false);  // after each output: did text go
  void on_transmit_start(Time now);       // text goes out after nothing was in flight
  void on_idle();                         // and the silence was longer than an RTO

 private:
  using Algorithm = std::variant<Reno, Cubic, Bbr>;

  // From a loss until a round trip after its repair: in memory of its own, since a connection that loses nothing
  // needs none of it.
  struct Episode {
    Prr prr;
    Window before;          // the first loss
    Algorithm algorithm;    // likewise
    bool repairing = true;  // not recovered yet

    template <class V>
    static constexpr auto members(V&& v) {
      return v(&Episode::prr, &Episode::before, &Episode::algorithm, &Episode::repairing);
    }
  };

  Algorithm make(CongestionChoice choice) const;
  uint32_t initial_window() const;

  Window w_;
  uint16_t initial_segments_;
  uint8_t bbr_path_loss_percent_;
  bool idle_restart_;
  bool classic_hystart_;
  bool untouched_ = true;  // nothing was sent: the initial window is still to be decided
  SeqPos round_end_;       // the round trip is over when this is acknowledged
  WindowUsage usage_;
  std::unique_ptr<Episode> episode_;
  Algorithm algorithm_;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Congestion::w_, &Congestion::initial_segments_, &Congestion::bbr_path_loss_percent_,
             &Congestion::idle_restart_, &Congestion::classic_hystart_, &Congestion::untouched_,
             &Congestion::round_end_, &Congestion::usage_, &Congestion::episode_, &Congestion::algorithm_);
  }
};

}  // namespace limpid
