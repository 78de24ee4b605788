// Merging (GRO): TCP segments that come in a row within one batch (wire/segment_row.h) are handed to TCP as one segment
// of so many packets. Their text stays in the frames that it came in.
//
//   frames   | IP | TCP | text 1 |   | IP | TCP | text 2 |   | IP | TCP | text 3 |
//   TCP      | IP | TCP | text 1 |              | text 2 |              | text 3 |
//
// One row at a time: whatever else comes in between ends it, so that nothing overtakes anything.
#pragma once

#include <vector>

#include "stack/net/ip.h"
#include "stack/wire/segment_row.h"

namespace limpid {

class Merger {
 public:
  bool holds() const { return first_.kind != Delivery::Kind::none; }
  // A datagram that may be the first of a row is kept, until take().
  bool begin(Delivery& datagram);
  // The frame goes on where the row ends: its text belongs to it now.
  bool append(InterfaceId interface, FrameRef& frame);
  // The row: good until clear().
  Delivery take();
  void clear() { more_.clear(); }

 private:
  Delivery first_;
  SegmentRow row_;
  std::vector<Slice> more_;  // TCP segments, header first
};

}  // namespace limpid
