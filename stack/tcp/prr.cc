#include "stack/tcp/prr.h"

#include <algorithm>

namespace limpid {

void Prr::begin(uint32_t ssthresh, uint32_t recover_fs, bool repairs) {
  repairs_ = repairs;
  delivered_ = 0;
  out_ = 0;
  ssthresh_ = ssthresh;
  recover_fs_ = std::max(recover_fs, 1u);  // RFC 6937 §3 divides by it
}

uint32_t Prr::on_ack(uint32_t delivered, uint32_t in_flight, bool safe_ack, uint32_t mss) {
  if (delivered == 0) return 0;
  delivered_ += delivered;
  int64_t sndcnt = in_flight > ssthresh_ ? reduce(mss) : refill(delivered, in_flight, safe_ack, mss);
  // The fast retransmit itself goes out with the ACK that told of the loss, whatever the proportion says.
  if (repairs_ && out_ == 0) sndcnt = std::max<int64_t>(sndcnt, mss);
  return static_cast<uint32_t>(std::clamp<int64_t>(sndcnt, 0, UINT32_MAX - in_flight));
}

// CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out, in whole segments, as Linux counts: half a segment that may go
// would otherwise wait for the next ACK, and the retransmissions with it.
int64_t Prr::reduce(uint32_t mss) const {
  const uint64_t unit = uint64_t{recover_fs_} * mss;
  const uint64_t share = (delivered_ * ssthresh_ + unit - 1) / unit * mss;
  return static_cast<int64_t>(share) - static_cast<int64_t>(out_);
}

// MIN(ssthresh - pipe, limit): never more than the reduction would have left.
int64_t Prr::refill(uint32_t delivered, uint32_t in_flight, bool safe_ack, uint32_t mss) const {
  const int64_t unspent = static_cast<int64_t>(delivered_) - static_cast<int64_t>(out_);
  int64_t limit = std::max<int64_t>(unspent, delivered);
  if (safe_ack) limit += mss;
  return std::min<int64_t>(int64_t{ssthresh_} - in_flight, limit);
}

}  // namespace limpid
