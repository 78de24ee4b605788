// What a driver's constructor and the set-up of the kernel's end throw: one line of cause, one line of cure.
#pragma once

#include <stdexcept>
#include <string>

namespace limpid {

class DeviceError : public std::runtime_error {
 public:
  // `error` is the errno behind it, 0 when there is none.
  DeviceError(int error, std::string cause, std::string cure)
      : std::runtime_error(cause + "\n  " + cure), error_(error), cause_(std::move(cause)), cure_(std::move(cure)) {}

  int error() const { return error_; }
  const std::string& cause() const { return cause_; }  // "/dev/net/tun: Permission denied (EACCES)"
  const std::string& cure() const { return cure_; }    // what to do about it

 private:
  int error_;
  std::string cause_;
  std::string cure_;
};

// "No such file or directory (ENOENT)".
std::string errno_text(int error);

}  // namespace limpid
