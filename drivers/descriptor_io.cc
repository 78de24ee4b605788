#include "drivers/descriptor_io.h"

#include <fmt/format.h>

#include <cstring>

#include "drivers/device_error.h"

namespace limpid {

std::string errno_text(int error) {
  const char* short_name = ::strerrorname_np(error);
  return fmt::format("{} ({})", ::strerrordesc_np(error) == nullptr ? "unknown error" : ::strerrordesc_np(error),
                     short_name == nullptr ? fmt::format("errno {}", error) : std::string(short_name));
}

void ErrorLog::report(const char* what, int error, const char* consequence) {
  const int index = error >= 0 && error < kErrors ? error : 0;
  if (seen_[static_cast<size_t>(index)].exchange(true) || !log_) return;
  log_(fmt::format("{}: {}: {}; {} (said once, then only counted)", device_, what, errno_text(error), consequence));
}

std::vector<iovec>& GatherList::pieces(ByteSpan header, const TxFrame& frame) {
  const auto add = [this](ByteSpan bytes) {
    if (!bytes.empty()) pieces_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  };
  pieces_.clear();
  add(header);
  add(frame.head);
  const bool fits = frame.body.size() < kMaxPieces;
  if (fits) {
    for (ByteSpan piece : frame.body) add(piece);
  } else {
    tail_.clear();
    for (ByteSpan piece : frame.body) tail_.insert(tail_.end(), piece.begin(), piece.end());
    add(tail_);
  }
  return pieces_;
}

}  // namespace limpid
