#include "stack/tcp/receiver.h"

#include <algorithm>

namespace limpid {

bool Receiver::cut(Segment& s) const {
  if (const int64_t old = nxt() - s.text_begin(); old > 0 && s.text.length > 0) {
    const auto cut = static_cast<uint32_t>(std::min<int64_t>(old, s.text.length));
    s.text.drop_front(cut);
    s.seq += cut;
  }
  const int64_t beyond = s.end() - edge_;
  if (beyond <= 0) return false;
  // A FIN just behind a full window is let in: it takes no memory, and a peer that sent it may have nothing else to
  // send.
  const bool fin = s.has(tcp_flag::fin);
  if (fin && beyond == 1) return false;
  if (fin) s.flags = static_cast<uint8_t>(s.flags & ~tcp_flag::fin);
  const int64_t text_beyond = beyond - (fin ? 1 : 0);
  if (text_beyond > 0) s.text.drop_back(static_cast<uint32_t>(std::min<int64_t>(text_beyond, s.text.length)));
  return true;
}

ReassemblyQueue::Inserted Receiver::take_chain(Segment& s) {
  uint64_t at = s.text_begin().stream();
  ReassemblyQueue::Inserted in;
  while (!s.text.empty()) {
    Slice text = s.text.pop();
    const uint32_t length = text.length;
    in.add(queue_.insert(at, std::move(text)));
    at += length;
  }
  return in;
}

void Receiver::keep_urgent_octet(const Segment& s) {
  if (!urgent_octet_ && *urgent_at_ >= s.text_begin() && *urgent_at_ < s.text_end())
    urgent_octet_ = s.text.at(static_cast<size_t>(*urgent_at_ - s.text_begin()));
}

// What future windows may promise: the buffer less what waits to be read or is lent, and less still when small slices
// pin far more memory than they carry.
uint32_t Receiver::room() const {
  const auto unread = uint64_t{queue_.readable()} + lent_;
  const uint64_t by_bytes = buffer_ > unread ? buffer_ - unread : 0;
  const uint64_t memory = uint64_t{buffer_} * 2;
  const uint64_t by_memory = memory > queue_.charge() ? memory - queue_.charge() : 0;
  return static_cast<uint32_t>(std::min(by_bytes, by_memory));
}

Receiver::Window Receiver::window(bool scaled, uint32_t mss) const {
  const uint8_t shift = scaled ? shift_ : 0;
  const uint32_t step = std::min(buffer_ / 2, mss);
  const uint32_t old = wnd();
  uint32_t fresh = room();
  // Not worth an announcement, or it would shrink: rounded down to the scale it must still be what was promised.
  if (fresh < old + step || (fresh >> shift) << shift < old) fresh = old;
  // The old edge is rounded up: rounding down would take back what was promised. But each segment shorter than the unit
  // would so be given back as a new promise, and the window of a user who does not read would never close: past twice
  // the buffer the loss of a unit is the lesser evil (RFC 7323 §2.4 allows it, and bids us accept the text all the
  // same).
  const uint32_t unit = 1u << shift;
  const bool may_creep = queue_.readable() + uint64_t{lent_} + old + unit <= uint64_t{2} * buffer_;
  const uint32_t rounding = fresh == old && may_creep ? unit - 1 : 0;
  const uint32_t wire = std::min((fresh + rounding) >> shift, 65'535u);
  const SeqPos promised_edge = nxt() + (int64_t{wire} << shift);
  return {static_cast<uint16_t>(wire), std::max(edge_, promised_edge)};
}

// More than the field holds cannot be promised: without scaling a large buffer is no reason for an update.
uint32_t Receiver::largest_window() const {
  return static_cast<uint32_t>(std::min<uint64_t>(uint64_t{65'535} << shift_, UINT32_MAX));
}

bool Receiver::mostly_open() const {
  const uint32_t whole = std::min(buffer_, largest_window());
  return wnd() >= whole - whole / 8;
}

bool Receiver::update_due(uint32_t mss) const {
  const uint32_t fresh = std::min(room(), largest_window());
  const uint32_t old = wnd();
  if (fresh < old + std::min(buffer_ / 2, mss)) return false;
  const uint32_t whole = std::min(buffer_, largest_window());
  return old < whole / 4 || fresh - old >= whole / 2;  // the sender is about to starve, or much has changed
}

size_t Receiver::readable() const {
  const size_t all = queue_.readable();
  if (!urgent_ahead() || urgent_inline_) return all;
  const auto before_mark = static_cast<size_t>(urgent_at_->stream() - queue_.read_position());
  if (before_mark > 0) return std::min(all, before_mark);
  return all > 0 ? all - 1 : 0;  // the urgent octet itself is not part of the stream
}

size_t Receiver::read(MutableByteSpan into, bool peek) {
  skip_urgent_octet();
  const size_t n = std::min(into.size(), readable());
  const size_t got = peek ? queue_.peek(into.first(n)) : queue_.read(into.first(n));
  return got;
}

size_t Receiver::lend(size_t most, LentText& into) {
  skip_urgent_octet();
  into.length = queue_.lend(std::min(most, readable()), LentText::kMostPieces, into.pieces);
  lent_ += static_cast<uint32_t>(into.length);
  return into.length;
}

void Receiver::give_back(LentText& text) {
  lent_ -= static_cast<uint32_t>(text.length);
  for (ReassemblyQueue::Piece& piece : text.pieces) queue_.give_back(piece);
  text = {};
}

// An urgent octet out of line is taken out of the stream when the reader comes to it.
void Receiver::skip_urgent_octet() {
  if (urgent_inline_ || !urgent_at_ || urgent_at_->stream() != queue_.read_position() || queue_.readable() == 0) return;
  queue_.discard(1);
}

// In front of the urgent octet; or just behind it, if it was not for this reader.
bool Receiver::at_urgent_mark() const {
  if (!urgent_at_) return false;
  const uint64_t mark = urgent_at_->stream();
  return queue_.read_position() == mark || (!urgent_inline_ && queue_.read_position() == mark + 1);
}

bool Receiver::note_urgent(SeqPos up) {
  const SeqPos octet = up - 1;
  if (octet < nxt()) return false;  // its octet came before as ordinary text, perhaps was read: too late (as Linux)
  if (urgent_at_ && octet <= *urgent_at_) return false;
  urgent_at_ = octet;
  urgent_octet_.reset();
  return true;
}

std::optional<std::byte> Receiver::urgent_octet(bool peek) {
  if (urgent_inline_) return std::nullopt;  // it is in the stream, and only there
  const auto octet = urgent_octet_;
  if (!peek) urgent_octet_.reset();
  return octet;
}

}  // namespace limpid
