// A class that is to be written down and made again says what its members are, all of them, in their order:
//
//   template <class V> static constexpr auto members(V&& v) { return v(&Rack::sent_, &Rack::end_, Elsewhere<int>{}); }
//
// Whoever walks them (tcp/fold_coder.h) checks while compiling that none is missing.
#pragma once

#include <algorithm>
#include <cstddef>

namespace limpid {

// Stands for a member that needs no copy: it is empty whenever one is made, or known from elsewhere.
template <class M>
struct Elsewhere {};

// The size of an object that has these members, and no others.
class MembersSize {
 public:
  template <class... M>
  constexpr size_t operator()(M... m) {
    (add(m), ...);
    return (end_ + align_ - 1) / align_ * align_;
  }

 private:
  template <class T, class M>
  constexpr void add(M T::*) {
    add(Elsewhere<M>{});
  }
  template <class M>
  constexpr void add(Elsewhere<M>) {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a member may be a pointer, and its own size is what is meant
    end_ = (end_ + alignof(M) - 1) / alignof(M) * alignof(M) + sizeof(M);
    align_ = std::max(align_, alignof(M));
  }
  size_t end_ = 0;
  size_t align_ = 1;
};

template <class T>
inline constexpr bool kAllMembersListed = T::members(MembersSize{}) == sizeof(T);

}  // namespace limpid
