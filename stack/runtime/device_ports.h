// The devices of a machine, and the empty frames that lie ready for them: taken from the pool under the stack's lock,
// filled by the one thread that waits at the devices, outside it.
#pragma once

#include <poll.h>

#include <memory>
#include <span>
#include <vector>

#include "drivers/device.h"
#include "stack/stack.h"

namespace limpid {

class DevicePorts {
 public:
  static constexpr size_t kMaxDevices = 8;

  InterfaceId add(Stack& stack, std::unique_ptr<Device> device);
  void clear_frames();
  Device& device(size_t index) const { return *ports_[index].device; }
  size_t size() const { return ports_.size(); }

  // --- under the lock ---
  Time next_deadline();  // of the devices themselves; read() looks at those whose time has come
  bool wants_writable() const;
  void give_to(Stack& stack, Time now);  // what was read
  void advance(Stack& stack, Time now);  // whoever waited for room or for a moment goes on
  bool filled_all() const;               // the last reading filled a whole batch of a device: it probably has more
  // So many threads wait for what comes. With each that is woken goes a switch of threads and back: for several, more
  // bulk is read at once.
  static constexpr size_t kMostReaders = 4;
  void refill(FramePool& pool, size_t readers);

  // --- outside the lock, by the thread that waits at the devices ---
  // One entry a device.
  void ask(std::span<pollfd> fds, bool wants_writable) const;
  void note(std::span<const pollfd> fds);
  void note_all_readable();
  void read(Time now);
  bool has_read() const;
  bool has_read_bulk() const;  // the last time that anything came
  // Whether what was read did not have to be waited for: then there may be more than one.
  void note_arrival(bool at_once);
  // A frame that was read and belongs to another machine of this host.
  struct Stray {
    uint16_t owner;
    InterfaceId interface;
    const Frame* frame;
  };
  // Takes those out of what was read, in their order; their bytes stand until the next reading.
  void sort_out(const FlowOwner& flows, uint16_t own, std::vector<Stray>& strays);

 private:
  struct Port {
    std::unique_ptr<Device> device;
    InterfaceId interface = 0;
    uint32_t frame_room = 0;
    std::vector<FrameRef> frames;
    size_t batch = 0;     // how many are read at once
    size_t ready = 0;     // how many of them are there: the first ones, for one batch or several
    size_t received = 0;  // how many the last reading filled
    Time deadline = kNever;
    bool readable = false;
    bool writable = false;
    bool filled = false;  // the last batch of them was a whole one
    bool bulk = false;    // there was some among the last that came
    int at_once = 0;      // so many readings in a row found something without a wait, up to two
    bool singly = false;  // frames came one at a time of late: the call that would say "no more" is left out
  };
  std::vector<Port> ports_;
};

}  // namespace limpid
