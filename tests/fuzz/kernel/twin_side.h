// A TCP that can be played a case: the kernel's, behind a TUN device in a namespace of its own, or ours in virtual
// time. Both are driven through the same table of socket calls.
#pragma once

#include <limpid/calls.h>

#include <functional>
#include <memory>

#include "stack/base/bytes.h"
#include "stack/wire/address.h"

namespace limpid::twin {

// The side's address; all others of 10/8 are peers.
inline constexpr IpAddress kSut = IpAddress::v4(10, 0, 0, 1);

class Side {
 public:
  virtual ~Side() = default;
  virtual const SocketCalls& calls() const = 0;
  virtual void inject(ByteSpan packet) = 0;
  using Taker = std::function<void(ByteSpan)>;
  // Hands over all that was sent since, once nothing more comes without a timer.
  virtual void drain(const Taker& take) = 0;
};

// Enters the namespaces; one for the life of the process. Throws test::SkipTest where the machine does not allow it.
std::unique_ptr<Side> make_kernel_side();
// A new stack, untouched by any case before.
std::unique_ptr<Side> make_our_side();

}  // namespace limpid::twin
