// A quiet connection in some hundred bytes: all its numbers, as they differ from those of another one, and nothing
// else, since nothing else is there: no text waits, nothing is under way, no ACK is owed, no timer runs but those of
// keep-alive and FIN-WAIT-2. What is made from them again is equal in every member.
//
//   | demux node, and whether it has a timer | its entry in the timer queue, if so | numbers (fold_coder.h) |
//
// Connection::members() says what is written; ConnectionTable, when.
#pragma once

#include "stack/tcp/connection.h"
#include "stack/tcp/fold_coder.h"

namespace limpid {

// Writes `c` as it differs from `like`; how many bytes. 0: there is no room. (It changes nothing.)
size_t fold(Connection& c, const Connection& like, const FoldPlace& place, MutableByteSpan into);
// Makes `c` what was written.
void unfold(Connection& c, const Connection& like, const FoldPlace& place, ByteSpan from);

}  // namespace limpid
