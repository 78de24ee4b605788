// What packetdrill asks of a stack that it is to test through a shared object (--so_filename), written down from its
// behaviour: it calls packetdrill_interface_init(flags, table) once, with a zeroed table, and every function of the
// table afterwards with `userdata` first. Each keeps the contract of the libc function of its name (-1 and errno).
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

extern "C" {

struct packetdrill_interface {
  void* userdata;
  void (*free)(void*);
  int (*socket)(void*, int domain, int type, int protocol);
  int (*bind)(void*, int fd, const sockaddr* address, socklen_t length);
  int (*listen)(void*, int fd, int backlog);
  int (*accept)(void*, int fd, sockaddr* address, socklen_t* length);
  int (*connect)(void*, int fd, const sockaddr* address, socklen_t length);
  ssize_t (*read)(void*, int fd, void* data, size_t length);
  ssize_t (*readv)(void*, int fd, const iovec* pieces, int count);
  ssize_t (*recv)(void*, int fd, void* data, size_t length, int flags);
  ssize_t (*recvfrom)(void*, int fd, void* data, size_t length, int flags, sockaddr* from, socklen_t* from_length);
  ssize_t (*recvmsg)(void*, int fd, msghdr* message, int flags);
  ssize_t (*write)(void*, int fd, const void* data, size_t length);
  ssize_t (*writev)(void*, int fd, const iovec* pieces, int count);
  ssize_t (*send)(void*, int fd, const void* data, size_t length, int flags);
  ssize_t (*sendto)(void*, int fd, const void* data, size_t length, int flags, const sockaddr* to, socklen_t to_length);
  ssize_t (*sendmsg)(void*, int fd, const msghdr* message, int flags);
  int (*fcntl)(void*, int fd, int command, ...);            // one int more
  int (*ioctl)(void*, int fd, unsigned long request, ...);  // one int* more
  int (*close)(void*, int fd);
  int (*shutdown)(void*, int fd, int how);
  int (*getsockopt)(void*, int fd, int level, int name, void* value, socklen_t* length);
  int (*setsockopt)(void*, int fd, int level, int name, const void* value, socklen_t length);
  int (*poll)(void*, pollfd* fds, nfds_t count, int timeout_ms);
  // An IP packet arrives at the stack.
  int (*netdev_send)(void*, const void* packet, size_t length);
  // The next IP packet that the stack sends: waits for it. Length 0: there will never be one.
  int (*netdev_receive)(void*, void* packet, size_t* length, long long* time_us);
  // Both on the clock of this stack, which is not the world's.
  int (*usleep)(void*, useconds_t us);
  int (*gettimeofday)(void*, timeval* now, struct timezone* zone);
  int (*epoll_create)(void*, int size);
  int (*epoll_ctl)(void*, int epoll, int operation, int fd, epoll_event* event);
  int (*epoll_wait)(void*, int epoll, epoll_event* events, int count, int timeout_ms);
  int (*pipe)(void*, int fds[2]);
  int (*splice)(void*, int from, loff_t* from_offset, int to, loff_t* to_offset, size_t length, unsigned flags);
};

__attribute__((visibility("default"))) void packetdrill_interface_init(const char* flags, packetdrill_interface* table);

}  // extern "C"
