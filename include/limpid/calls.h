/* calls.h: the socket calls as a table, so that one source runs on Limpid's sockets and on the kernel's.
 *
 *     const struct SocketCalls* calls = kernel ? &lp_kernel_calls : &lp_limpid_calls;
 *     int fd = calls->socket(AF_INET, SOCK_STREAM, 0);
 *
 * This is what `--kernel` in the bundled programs switches. Signatures, errors and meanings are those of limpid.h. */
#ifndef LIMPID_CALLS_H
#define LIMPID_CALLS_H

#include <limpid/limpid.h>

#ifdef __cplusplus
extern "C" {
#endif

struct SocketCalls {
  const char* name; /* "limpid" or "kernel" */

  int (*socket)(int domain, int type, int protocol);
  int (*bind)(int fd, const struct sockaddr* address, socklen_t length);
  int (*listen)(int fd, int backlog);
  int (*accept)(int fd, struct sockaddr* address, socklen_t* length);
  int (*accept4)(int fd, struct sockaddr* address, socklen_t* length, int flags);
  int (*connect)(int fd, const struct sockaddr* address, socklen_t length);

  ssize_t (*send)(int fd, const void* data, size_t length, int flags);
  ssize_t (*sendto)(int fd, const void* data, size_t length, int flags, const struct sockaddr* to, socklen_t to_length);
  ssize_t (*sendmsg)(int fd, const struct msghdr* message, int flags);
  ssize_t (*recv)(int fd, void* data, size_t length, int flags);
  ssize_t (*recvfrom)(int fd, void* data, size_t length, int flags, struct sockaddr* from, socklen_t* from_length);
  ssize_t (*recvmsg)(int fd, struct msghdr* message, int flags);
  ssize_t (*read)(int fd, void* data, size_t length);
  ssize_t (*write)(int fd, const void* data, size_t length);
  ssize_t (*readv)(int fd, const struct iovec* pieces, int count);
  ssize_t (*writev)(int fd, const struct iovec* pieces, int count);

  /* Kernel: sockets there lend nothing, so these copy, by send() and recv(), and a commit on a non-blocking socket may
   * take less than `length`, as send() does. */
  ssize_t (*send_reserve)(int fd, struct lp_loan** loan, size_t length, int flags);
  ssize_t (*send_commit)(struct lp_loan* loan, size_t length, int flags);
  ssize_t (*recv_borrow)(int fd, struct lp_loan** loan, size_t length, int flags);
  int (*recv_return)(struct lp_loan* loan);

  int (*close)(int fd);
  int (*shutdown)(int fd, int how);

  int (*poll)(struct pollfd* fds, nfds_t count, int timeout_ms);
  int (*select)(int count, fd_set* readable, fd_set* writable, fd_set* exceptional, struct timeval* timeout);

  int (*epoll_create1)(int flags);
  int (*epoll_ctl)(int epoll_fd, int operation, int fd, struct epoll_event* event);
  int (*epoll_wait)(int epoll_fd, struct epoll_event* events, int most, int timeout_ms);
  int (*epoll_pwait)(int epoll_fd, struct epoll_event* events, int most, int timeout_ms, const sigset_t* mask);
  int (*epoll_pwait2)(int epoll_fd, struct epoll_event* events, int most, const struct timespec* timeout,
                      const sigset_t* mask);

  int (*getsockopt)(int fd, int level, int name, void* value, socklen_t* length);
  int (*setsockopt)(int fd, int level, int name, const void* value, socklen_t length);
  int (*getsockname)(int fd, struct sockaddr* address, socklen_t* length);
  int (*getpeername)(int fd, struct sockaddr* address, socklen_t* length);
  int (*fcntl)(int fd, int command, ...);
  int (*ioctl)(int fd, unsigned long request, ...);
  int (*adopt)(int kernel_fd); /* kernel: the descriptor itself */

  int (*thread_create)(lp_thread_t* thread, void* (*run)(void*), void* argument);
  int (*thread_join)(lp_thread_t thread, void** result);
  int (*thread_detach)(lp_thread_t thread);
  int (*gettime)(struct timespec* now); /* kernel: CLOCK_MONOTONIC */
  int (*nanosleep)(const struct timespec* request, struct timespec* remaining);
  unsigned (*sleep)(unsigned seconds);
};

extern const struct SocketCalls lp_limpid_calls;
extern const struct SocketCalls lp_kernel_calls;

#ifdef __cplusplus
}
#endif

#endif /* LIMPID_CALLS_H */
