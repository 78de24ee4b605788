// packetdrill wants descriptors that the kernel knows (it closes what a script left open, and tells them apart from
// those of files). So each socket of ours goes by the number of an eventfd that stands for it.
#pragma once

#include <mutex>
#include <vector>

namespace limpid::packetdrill {

class Descriptors {
 public:
  // The number by which `ours` goes from now on; -1 and errno when the kernel has none left.
  int enter(int ours);
  // -1: no socket of ours goes by it.
  int find(int number) const;
  // Forgets it, and gives the number back to the kernel.
  int remove(int number);

 private:
  mutable std::mutex mutex_;
  std::vector<int> ours_;  // by number
};

}  // namespace limpid::packetdrill
