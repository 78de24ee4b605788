// A retransmission that was not needed says that its window reduction was not needed either.
//
//   DSACK       the receiver reports each range that arrived twice: all that was resent, and it was for nothing
//               (RFC 2883, RFC 3708)
//   Eifel       the ACK that ends the wait echoes a stamp from before the first retransmission: it answers the original
//               (RFC 3522 §3.2, response RFC 4015 §3.2)
#include "stack/tcp/recovery.h"

namespace limpid {

void Recovery::begin_undo(SeqPos una) {
  undo_from_ = una;
  unproven_ = board_->retransmitted().bytes;
  resent_any_ = unproven_ > 0;
  if (!resent_any_) first_resent_ = kNever;
}

bool Recovery::original_came_late(const AckInput& in) const {
  return first_resent_ != kNever && in.echo_ms && *in.echo_ms < to_ms(first_resent_.time_since_epoch());
}

bool Recovery::retransmissions_were_spurious(const AckInput& in) const {
  if (undo_from_ == kNone) return false;
  return (resent_any_ && unproven_ == 0) || original_came_late(in);
}

void Recovery::undo(Rule why, Conclusions& c) {
  c.undone = why;
  undo_from_ = kNone;
  first_resent_ = kNever;
  frto_ = Frto::off;
  urgent_ = false;
  if (board_) board_->forget_losses();
  state_ = CaState::open;
  if (board_) keep_open();
}

// Also in Open: the last DSACK may come after the ACK that ended recovery.
bool Recovery::undo_by_dsack(Conclusions& c) {
  if (undo_from_ == kNone || !resent_any_ || unproven_ > 0) return false;
  undo(Rule::tcp_undo_dsack, c);
  return true;
}

// A partial ACK that answers the original transmission: the path reordered or was late. While retransmissions are under
// way their ACKs would look like new losses, so they are waited for.
bool Recovery::undo_partial(const AckInput& in, Conclusions& c) {
  if (undo_from_ == kNone || !original_came_late(in) || !board_) return false;
  if (board_->retransmitted().bytes == 0) undo(Rule::tcp_undo_eifel, c);
  return true;
}

}  // namespace limpid
