// The two tables of limpid/calls.h.
#include <fcntl.h>
#include <limpid/calls.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "stack/socket/kernel_loans.h"

namespace {

int same_descriptor(int kernel_fd) { return kernel_fd; }
int create_thread(lp_thread_t* thread, void* (*run)(void*), void* argument) {
  return pthread_create(thread, nullptr, run, argument);
}
int join_thread(lp_thread_t thread, void** result) { return pthread_join(thread, result); }
int detach_thread(lp_thread_t thread) { return pthread_detach(thread); }
int get_time(timespec* now) { return clock_gettime(CLOCK_MONOTONIC, now); }

}  // namespace

const SocketCalls lp_limpid_calls = {
    .name = "limpid",
    .socket = lp_socket,
    .bind = lp_bind,
    .listen = lp_listen,
    .accept = lp_accept,
    .accept4 = lp_accept4,
    .connect = lp_connect,
    .send = lp_send,
    .sendto = lp_sendto,
    .sendmsg = lp_sendmsg,
    .recv = lp_recv,
    .recvfrom = lp_recvfrom,
    .recvmsg = lp_recvmsg,
    .read = lp_read,
    .write = lp_write,
    .readv = lp_readv,
    .writev = lp_writev,
    .send_reserve = lp_send_reserve,
    .send_commit = lp_send_commit,
    .recv_borrow = lp_recv_borrow,
    .recv_return = lp_recv_return,
    .close = lp_close,
    .shutdown = lp_shutdown,
    .poll = lp_poll,
    .select = lp_select,
    .epoll_create1 = lp_epoll_create1,
    .epoll_ctl = lp_epoll_ctl,
    .epoll_wait = lp_epoll_wait,
    .epoll_pwait = lp_epoll_pwait,
    .epoll_pwait2 = lp_epoll_pwait2,
    .getsockopt = lp_getsockopt,
    .setsockopt = lp_setsockopt,
    .getsockname = lp_getsockname,
    .getpeername = lp_getpeername,
    .fcntl = lp_fcntl,
    .ioctl = lp_ioctl,
    .adopt = lp_adopt,
    .thread_create = lp_thread_create,
    .thread_join = lp_thread_join,
    .thread_detach = lp_thread_detach,
    .gettime = lp_gettime,
    .nanosleep = lp_nanosleep,
    .sleep = lp_sleep,
};

const SocketCalls lp_kernel_calls = {
    .name = "kernel",
    .socket = ::socket,
    .bind = ::bind,
    .listen = ::listen,
    .accept = ::accept,
    .accept4 = ::accept4,
    .connect = ::connect,
    .send = ::send,
    .sendto = ::sendto,
    .sendmsg = ::sendmsg,
    .recv = ::recv,
    .recvfrom = ::recvfrom,
    .recvmsg = ::recvmsg,
    .read = ::read,
    .write = ::write,
    .readv = ::readv,
    .writev = ::writev,
    .send_reserve = limpid::kernel_send_reserve,
    .send_commit = limpid::kernel_send_commit,
    .recv_borrow = limpid::kernel_recv_borrow,
    .recv_return = limpid::kernel_recv_return,
    .close = ::close,
    .shutdown = ::shutdown,
    .poll = ::poll,
    .select = ::select,
    .epoll_create1 = ::epoll_create1,
    .epoll_ctl = ::epoll_ctl,
    .epoll_wait = ::epoll_wait,
    .epoll_pwait = ::epoll_pwait,
    .epoll_pwait2 = ::epoll_pwait2,
    .getsockopt = ::getsockopt,
    .setsockopt = ::setsockopt,
    .getsockname = ::getsockname,
    .getpeername = ::getpeername,
    .fcntl = ::fcntl,
    .ioctl = ::ioctl,
    .adopt = same_descriptor,
    .thread_create = create_thread,
    .thread_join = join_thread,
    .thread_detach = detach_thread,
    .gettime = get_time,
    .nanosleep = ::nanosleep,
    .sleep = ::sleep,
};
