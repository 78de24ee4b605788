// struct sockaddr and Endpoint: addresses as the caller and as the stack write them.
#pragma once

#include <sys/socket.h>

#include <expected>

#include "stack/wire/address.h"

namespace limpid {

// EFAULT, EINVAL (too short), EAFNOSUPPORT. 0.0.0.0 becomes the unset address.
std::expected<Endpoint, int> to_endpoint(const sockaddr* address, socklen_t length);

// Writes as much as the caller has room for, and the full length, as accept(2) does. Null: nothing is asked for.
void write_address(const Endpoint& endpoint, sockaddr* address, socklen_t* length);

}  // namespace limpid
