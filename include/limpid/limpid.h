/* limpid.h: Berkeley sockets on the Limpid TCP/IP stack.
 *
 * Each lp_X has the signature, the structs, the flags, the return value and the errno values of X in <sys/socket.h>,
 * <poll.h>, <sys/epoll.h>, <sys/select.h>, <sys/uio.h> and <unistd.h>; socket(7), ip(7), tcp(7), udp(7) and epoll(7)
 * describe them. What is said
 * here is what those pages leave open, and where the two differ (docs/deviations.md has the whole list).
 *
 * Shapes and units. Lengths are bytes. Addresses are struct sockaddr_in in network order. A descriptor is a small
 * integer of the current *host* (one stack and its descriptor table, see lp_host below), not of the kernel: 0, 1 and 2
 * are the process's own standard input, output and error, lp_adopt() enters other kernel descriptors, and a new socket
 * takes the lowest free number. lp_read, lp_write, lp_readv, lp_writev, lp_close, lp_fcntl, lp_ioctl, lp_poll and
 * lp_select serve both sorts; the others answer ENOTSOCK for a descriptor that is the kernel's.
 *
 * Errors. -1 and errno, as POSIX and Linux have it. Beyond the errors of the man pages:
 *   EBADF      also: in a child after fork() (the stack stays with the parent), and in a thread without a host
 *   ECANCELED  the call would have to wait, and the host is being stopped
 *   EBADF or ECONNABORTED from a call in which another thread's lp_close() of the same descriptor found us waiting
 *
 * Threads. Every call may be made from any thread. One reader and one writer at a time use a socket; others wait for
 * their turn, so the bytes of two sends never mix. In the simulated world threads must be started by lp_thread_create()
 * and may block in lp_ calls only.
 */
#ifndef LIMPID_LIMPID_H
#define LIMPID_LIMPID_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- making sockets ---------------------------------------------------------------------------------------------
 * domain AF_INET (others: EAFNOSUPPORT). type SOCK_STREAM (protocol 0 or IPPROTO_TCP), SOCK_DGRAM (0, IPPROTO_UDP),
 * SOCK_RAW (an IP protocol other than TCP and UDP; no privilege is needed, it is your own stack), each or-ed with
 * SOCK_NONBLOCK and SOCK_CLOEXEC (without meaning here: no descriptor of ours survives exec). */
int lp_socket(int domain, int type, int protocol);
int lp_bind(int fd, const struct sockaddr* address, socklen_t length);
int lp_listen(int fd, int backlog);
int lp_accept(int fd, struct sockaddr* address, socklen_t* length);
int lp_accept4(int fd, struct sockaddr* address, socklen_t* length, int flags);
int lp_connect(int fd, const struct sockaddr* address, socklen_t length);

/* --- sending and receiving --------------------------------------------------------------------------------------
 * Flags out: MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB, MSG_MORE. Flags in: MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_TRUNC,
 * MSG_OOB. Control messages out: IP_PKTINFO, IP_TTL. In: IP_PKTINFO, IP_TTL, IP_TOS when asked for by option. */
ssize_t lp_send(int fd, const void* data, size_t length, int flags);
ssize_t lp_sendto(int fd, const void* data, size_t length, int flags, const struct sockaddr* to, socklen_t to_length);
ssize_t lp_sendmsg(int fd, const struct msghdr* message, int flags);
ssize_t lp_recv(int fd, void* data, size_t length, int flags);
ssize_t lp_recvfrom(int fd, void* data, size_t length, int flags, struct sockaddr* from, socklen_t* from_length);
ssize_t lp_recvmsg(int fd, struct msghdr* message, int flags);
ssize_t lp_read(int fd, void* data, size_t length);
ssize_t lp_write(int fd, const void* data, size_t length);
ssize_t lp_readv(int fd, const struct iovec* pieces, int count);
ssize_t lp_writev(int fd, const struct iovec* pieces, int count);

/* --- sending and receiving in place -----------------------------------------------------------------------------
 * The application writes what it sends into the stack's own chunks, and reads what was received in the frames that it
 * came in; no byte is copied. Stream sockets only (others, and flags not named here: EOPNOTSUPP). docs/sockets.md has
 * an example.
 *
 * Both calls hand out a loan: `length` bytes in `count` pieces, in the order of the stream. The stack fills it in; the
 * application reads it, gives it back by the call that belongs to it, and touches neither it nor its bytes afterwards.
 * Any number of loans may be out, of one socket too, and each may be given back by any thread that has a host; the
 * bytes of one loan are the business of whoever has it, the stack's lock is not held over them. A loan outlives its
 * connection and its descriptor: after shutdown, reset and lp_close() the bytes stay where they are until it is given
 * back. lp_host_destroy() ends the loans of its host. */
struct lp_loan {
  const struct iovec* pieces;
  int count;
  size_t length;
};

/* Room for at most `length` bytes, as many as the send buffer has; waits for some as lp_send() does (O_NONBLOCK,
 * SO_SNDTIMEO, MSG_DONTWAIT: EAGAIN), and fails as lp_send() does, with SIGPIPE unless MSG_NOSIGNAL. Returns how many
 * bytes, at least 1, or -1 and errno, *loan NULL; EINVAL: length is 0. What is in the room is undefined. It counts
 * towards SO_SNDBUF and pins whole chunks of 32 KiB until it is committed; a thread that holds all the room itself and
 * waits for more waits for its timeout. The bytes have no place in the stream yet: others may send meanwhile. A SYN
 * that waits for text (TCP_FASTOPEN_CONNECT) goes without. */
ssize_t lp_send_reserve(int fd, struct lp_loan** loan, size_t length, int flags);
/* Sends the first `length` bytes of a reservation, all of them, behind what was sent until now, and gives back the rest
 * of the room; 0: gives back all of it, and never fails. Flags: MSG_MORE, MSG_OOB, MSG_NOSIGNAL; and MSG_DONTWAIT,
 * since it waits for its turn where another thread is within a blocking lp_send(). Returns `length`, or -1 and errno.
 *   EINVAL (no reservation, or longer than it), EOPNOTSUPP (flags), EAGAIN, EINTR, ECANCELED (while it waited for its
 *   turn): the loan is still out.
 *   EPIPE, ECONNRESET and all others of lp_send(), EBADF when the descriptor was closed: the loan has ended. */
ssize_t lp_send_commit(struct lp_loan* loan, size_t length, int flags);

/* At most `length` bytes of what has arrived, in place (at most IOV_MAX pieces); waits and fails as lp_recv() does
 * (SO_RCVLOWAT, O_NONBLOCK, SO_RCVTIMEO, MSG_DONTWAIT: EAGAIN). Returns how many; 0 at the end of the stream, *loan
 * NULL; or -1 and errno; EINVAL: length is 0. They have been read then: the next call goes on behind them, and
 * lp_close() does not reset the connection for their sake. But they count towards SO_RCVBUF, and the window does not
 * open over them, until they are returned. They are not to be written to. */
ssize_t lp_recv_borrow(int fd, struct lp_loan** loan, size_t length, int flags);
/* In any order; tells the peer when the window has opened. 0, or -1 and errno: EINVAL (nothing that was borrowed). */
int lp_recv_return(struct lp_loan* loan);

/* --- ending -----------------------------------------------------------------------------------------------------
 * lp_close() also releases other threads that wait in the descriptor (EBADF; ECONNABORTED in accept), where the
 * kernel would leave them waiting. With SO_LINGER and a time it waits until all data and the FIN are acknowledged. */
int lp_close(int fd);
int lp_shutdown(int fd, int how);

/* --- waiting ----------------------------------------------------------------------------------------------------
 * Both take kernel descriptors too, mixed with ours. Timeouts run on the host's clock, which a debugger stops. */
int lp_poll(struct pollfd* fds, nfds_t count, int timeout_ms);
int lp_select(int count, fd_set* readable, fd_set* writable, fd_set* exceptional, struct timeval* timeout);

/* epoll(7), ours and the kernel's descriptors in one set. A set is itself a descriptor that can be polled, or stand in
 * another set (five in a row: ELOOP beyond). Closing a descriptor takes it out of every set. What is told of the
 * kernel's descriptors is the kernel's own answer, EPERM for regular files included; lp_epoll_ctl() alone of them makes
 * a kernel descriptor, for the first that is added. */
int lp_epoll_create1(int flags);
int lp_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event* event);
int lp_epoll_wait(int epoll_fd, struct epoll_event* events, int most, int timeout_ms);
int lp_epoll_pwait(int epoll_fd, struct epoll_event* events, int most, int timeout_ms, const sigset_t* mask);
int lp_epoll_pwait2(int epoll_fd, struct epoll_event* events, int most, const struct timespec* timeout,
                    const sigset_t* mask);

/* A kernel descriptor (an eventfd) that turns readable whenever a socket of the current host has news, for a foreign
 * event loop: wait for it, read(2) its eight bytes, then lp_poll() with timeout 0. Belongs to the host: do not close.
 */
int lp_event_fd(void);

/* --- options and names ------------------------------------------------------------------------------------------
 * SOL_SOCKET, IPPROTO_IP and IPPROTO_TCP as docs/sockets.md lists them; unknown ones: ENOPROTOOPT. SO_SNDBUF and
 * SO_RCVBUF report twice what was set, as on Linux. TCP_INFO has Linux's layout and takes any length. */
int lp_getsockopt(int fd, int level, int name, void* value, socklen_t* length);
int lp_setsockopt(int fd, int level, int name, const void* value, socklen_t length);
int lp_getsockname(int fd, struct sockaddr* address, socklen_t* length);
int lp_getpeername(int fd, struct sockaddr* address, socklen_t* length);
int lp_fcntl(int fd, int command, ...);           /* F_GETFL, F_SETFL (O_NONBLOCK), F_GETFD, F_SETFD */
int lp_ioctl(int fd, unsigned long request, ...); /* FIONREAD, FIONBIO, SIOCOUTQ, SIOCOUTQNSD */

/* Enters a kernel descriptor into the host's table, under the lowest free number, which is returned. lp_close() of
 * that number closes the kernel's descriptor too. EBADF: kernel_fd is not open. */
int lp_adopt(int kernel_fd);

/* --- threads and time -------------------------------------------------------------------------------------------
 * As pthread_create, pthread_join, pthread_detach (0 or an error number; errno is left alone). The new thread has its
 * creator's current host. */
typedef unsigned long lp_thread_t;
int lp_thread_create(lp_thread_t* thread, void* (*run)(void*), void* argument);
int lp_thread_join(lp_thread_t thread, void** result);
int lp_thread_detach(lp_thread_t thread);

/* The host's clock, since the host was made: virtual in a simulation, standing still under a debugger. 0, or -1. */
int lp_gettime(struct timespec* now);
int lp_nanosleep(const struct timespec* request, struct timespec* remaining);
unsigned lp_sleep(unsigned seconds); /* seconds left, when a signal came */

/* --- hosts ------------------------------------------------------------------------------------------------------
 * A host is one TCP/IP stack with its own addresses, clock, I/O thread and descriptor table. A thread works on its
 * current host; the threads it starts inherit it. Programs started by `limpid up` or `limpid run` have one already. */
struct lp_host;

struct lp_host_config {
  size_t size;         /* sizeof(struct lp_host_config), so that later versions can add fields */
  const char* device;  /* name of a TUN device to attach to ("tun0"); NULL: use fd, or loopback only */
  int fd;              /* an open TUN descriptor in IFF_TUN | IFF_NO_PI mode, taken over; -1: none */
  const char* address; /* ours on that device, with prefix length: "10.77.0.2/24" */
  const char* gateway; /* default route: "10.77.0.1"; NULL: none */
  uint32_t mtu;        /* of the device, bytes; 0: ask the device */
  uint64_t seed;       /* of the stack's randomness; 0: from the system */
  const char* control; /* path of the control socket that `limpid ss` asks; NULL: none */
};

/* Makes a host and starts it, but does not make it current. NULL and errno on failure: EINVAL (config), ENODEV, EPERM,
 * EBUSY (device), ENOMEM. */
struct lp_host* lp_host_create(const struct lp_host_config* config);
/* Makes `host` (NULL: none) current in the calling thread; returns the one before. */
struct lp_host* lp_host_use(struct lp_host* host);
struct lp_host* lp_host_current(void);
/* Waits until all closed connections have delivered their data and FIN, but at most until nothing has moved for
 * `idle_ms`. 0 when all are done, else how many are not. */
int lp_host_drain(struct lp_host* host, int idle_ms);
/* From now on calls that would wait fail with ECANCELED. May be called from a signal handler. */
void lp_host_stop(struct lp_host* host);
/* Closes all descriptors, drains for at most 5 s without progress, waits for the host's threads and takes it apart. */
void lp_host_destroy(struct lp_host* host);

#ifdef __cplusplus
}
#endif

#endif /* LIMPID_LIMPID_H */
