// Ancillary data of sendmsg and recvmsg: IP_PKTINFO, IP_TTL, IP_TOS.
#pragma once

#include <sys/socket.h>

#include "stack/socket/open_socket.h"

namespace limpid {

// What the caller asks of this one datagram. 0 or EINVAL.
int read_control(const msghdr& message, DatagramSend& how);

// TCP_INQ: how many bytes are left to read behind what the call returned; 1 for the end of the stream.
void write_in_queue(msghdr& message, int left, int& flags);

// What the socket was told to report. Sets msg_controllen, and MSG_CTRUNC in `flags` when there is no room.
void write_control(msghdr& message, const OpenSocket& socket, const DatagramReceived& received, int& flags);

}  // namespace limpid
