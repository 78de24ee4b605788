// What lp_send_reserve() and lp_recv_borrow() hand out: room or text of one connection, until it is given back.
#pragma once

#include <limpid/limpid.h>

#include <vector>

#include "stack/base/intrusive_list.h"
#include "stack/buffer/loan.h"
#include "stack/socket/descriptor_table.h"

namespace limpid {

class Hold;
class Host;

// Under the lock of the host's machine, but for the bytes that it points to and what lp_loan says of them.
struct Loan : ::lp_loan, ListHook<> {
  Loan(Host& host_, SocketRef socket_, bool sends_)
      : lp_loan{}, host(host_), socket(std::move(socket_)), sends(sends_) {}

  void tell_pieces();

  Host& host;
  SocketRef socket;
  SocketId id;  // the connection: the socket may be at another by now, or be closed
  bool sends;
  SendRoom room;
  LentText text;
  std::vector<iovec> list;
};

// Gives back all of it.
void end_loan(Hold& hold, Loan& loan);

}  // namespace limpid
