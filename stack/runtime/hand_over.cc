// Several machines, one host: the queue on which a device gives us a frame is a hint only. What a machine has read and
// does not own goes to its owner before any stack sees it.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "stack/runtime/real_world.h"

namespace limpid {

void RealMachine::share_flows(std::span<RealMachine* const> machines, const FlowOwner& owner, uint16_t own) {
  siblings_.assign(machines.begin(), machines.end());
  flow_owner_ = owner;
  own_share_ = own;
  const std::lock_guard guard(mutex_);
  stack_.share_flows(owner, own);
}

// The leader does it itself, at a moment when it holds no lock: one backtrace shows a frame from its reading to what it
// leads to. It is seldom more than the first frames of a flow, since the kernel learns its queue from what we send.
void RealMachine::hand_over() {
  strays_.clear();
  ports_.sort_out(flow_owner_, own_share_, strays_);
  if (strays_.empty()) return;
  handed_over_.fetch_add(strays_.size(), std::memory_order_relaxed);
  std::vector<DevicePorts::Stray> of_one;
  for (size_t owner = 0; owner < siblings_.size(); ++owner) {
    of_one.clear();
    std::ranges::copy_if(strays_, std::back_inserter(of_one), [owner](const auto& s) { return s.owner == owner; });
    if (!of_one.empty()) siblings_[owner]->take_over(of_one);
  }
}

// Frames that another machine has read. Copied, since a frame's count moves only under the lock of its own stack. When
// the pool is exhausted they are lost, as a device drops what nobody fetches.
void RealMachine::take_over(std::span<const DevicePorts::Stray> strays) {
  lock();
  for (const DevicePorts::Stray& stray : strays) {
    FrameRef copy = stack_.frames().copy(stray.frame->bytes());
    if (!copy) continue;
    copy->offload = stray.frame->offload;
    stack_.receive(stray.interface, std::move(copy), now_);
  }
  stack_.flush(now_);
  leave_lock();  // no glance at these devices: the thread that is here has its own to read
}

}  // namespace limpid
