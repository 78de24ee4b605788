// Loans on the kernel's sockets, which have none: memory of ours, and a copy by send() and recv(). So a program that is
// written for loans runs on both, and pays on the kernel's what send() and recv() cost.
#pragma once

#include <limpid/limpid.h>

namespace limpid {

// As lp_send_reserve and the others. Room is all that is asked for, up to a bound; whether the socket takes it shows in
// the commit, which on a non-blocking socket may take less.
ssize_t kernel_send_reserve(int fd, lp_loan** loan, size_t length, int flags);
ssize_t kernel_send_commit(lp_loan* loan, size_t length, int flags);
ssize_t kernel_recv_borrow(int fd, lp_loan** loan, size_t length, int flags);
int kernel_recv_return(lp_loan* loan);

}  // namespace limpid
