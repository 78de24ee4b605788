// Values to bytes and back, by the lists of members of their classes (base/members.h).
//
// What is written is how an object differs from another one that it is likely to resemble, so that most of it costs a
// bit: each value becomes a number, zero where both agree, and each block of 64 numbers
//
//   | which of 8 groups have any | for each of those: which of its 8 numbers are not zero | these, 7 bits a byte |
//
// One walk serves both ways. FoldCoder turns a value into its number, hands it to the stream, and makes the value again
// from the number that it gets back: FoldWriter gives back what it was handed, FoldReader what was written.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "stack/base/bytes.h"
#include "stack/base/members.h"
#include "stack/base/slab.h"
#include "stack/base/time.h"
#include "stack/net/ip.h"
#include "stack/socket_id.h"
#include "stack/tcp/seq.h"

namespace limpid {

class FoldWriter {
 public:
  explicit FoldWriter(MutableByteSpan out) : out_(out) {}

  uint64_t number(uint64_t n) {
    if (n != 0) {
      mask_ |= uint64_t{1} << count_;
      for (uint64_t left = n;; left >>= 7) {
        pending_[pending_size_++] = static_cast<std::byte>(left < 0x80 ? left : (left & 0x7f) | 0x80);
        if (left < 0x80) break;
      }
    }
    if (++count_ == 64) end_block();
    return n;
  }
  // How many bytes all took; 0: there was no room.
  size_t finish() {
    if (count_ > 0) end_block();
    return fits_ ? size_ : 0;
  }

 private:
  void end_block();
  void put(std::byte b) {
    if (size_ < out_.size())
      out_[size_++] = b;
    else
      fits_ = false;
  }

  MutableByteSpan out_;
  size_t size_ = 0;
  bool fits_ = true;
  uint64_t mask_ = 0;
  unsigned count_ = 0;
  std::array<std::byte, 640> pending_;  // 64 numbers of ten bytes
  size_t pending_size_ = 0;
};

class FoldReader {
 public:
  explicit FoldReader(ByteSpan in) : in_(in) {}

  uint64_t number(uint64_t) {
    if (count_++ % 64 == 0) begin_block();
    const bool any = (mask_ & 1) != 0;
    mask_ >>= 1;
    if (!any) return 0;
    uint64_t n = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto b = std::to_integer<uint64_t>(in_[at_++]);
      n |= (b & 0x7f) << shift;
      if (b < 0x80) return n;
    }
  }
  size_t position() const { return at_; }

 private:
  void begin_block();

  ByteSpan in_;
  size_t at_ = 0;
  uint64_t mask_ = 0;
  unsigned count_ = 0;
};

// What a connection's own place says of it, so that it need not be written.
struct FoldPlace {
  FourTuple tuple;
  SocketId id;
};

template <class Stream>
class FoldCoder {
 public:
  FoldCoder(Stream& stream, const FoldPlace& place) : stream_(stream), place_(place) {}

  // All members of `v`, as it differs from `like`.
  template <class T>
  void code(T& v, const T& like) {
    if constexpr (std::is_same_v<T, std::monostate>) {
      return;
    } else {
      static_assert(kAllMembersListed<T>, "T::members() leaves one out");
      T::members([&](auto... m) { (member(v, like, m), ...); });
    }
  }

 private:
  template <class T, class M>
  void member(T& v, const T& like, M T::* m) {
    code(v.*m, like.*m);
  }
  template <class T, class M>
  void member(T&, const T&, Elsewhere<M>) {}

  uint64_t number(uint64_t n) { return stream_.number(n); }
  static uint64_t zigzag(uint64_t n) { return n << 1 ^ (0 - (n >> 63)); }
  static uint64_t unzigzag(uint64_t n) { return n >> 1 ^ (0 - (n & 1)); }

  // --- numbers: the difference ---
  template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void code(T& v, const T& like) {
    const uint64_t difference = static_cast<uint64_t>(v) - static_cast<uint64_t>(like);
    v = static_cast<T>(static_cast<uint64_t>(like) + unzigzag(number(zigzag(difference))));
  }
  void code(Duration& v, const Duration& like) {
    int64_t n = v.count();
    code(n, int64_t{like.count()});
    v = Duration(n);
  }
  void code(Seq& v, const Seq& like) {
    v.value = like.value + static_cast<uint32_t>(number(uint32_t{v.value - like.value}));
  }

  // --- times and positions: the same as there, or not far from the last one that was not ---
  void code(Time& v, const Time& like) {
    int64_t n = v.time_since_epoch().count();
    code_near(n, like.time_since_epoch().count(), last_time_);
    v = Time(Duration(n));
  }
  void code(SeqPos& v, const SeqPos& like) { code_near(v.value, like.value, last_position_); }

  void code_near(int64_t& v, int64_t like, uint64_t& last) {
    const auto n = static_cast<uint64_t>(v);
    const uint64_t told = number(v == like ? 0 : 1 + zigzag(n - last));
    if (told == 0) {
      v = like;
      return;
    }
    last += unzigzag(told - 1);
    v = static_cast<int64_t>(last);
  }

  // --- what the place says ---
  void code(Path& v, const Path& like) {
    // As many as there are, or this does not compile.
    [[maybe_unused]] const auto& [m1, m2, m3, m4, m5, m6, m7, m8, m9] = like;
    code_address(v.source, place_.tuple.local.address, like.source);
    code_address(v.next_hop, place_.tuple.remote.address, like.next_hop);
    code(v.interface, like.interface);
    code(v.mtu, like.mtu);
    code(v.broadcast, like.broadcast);
    code(v.echo, like.echo);
    code(v.offloads, like.offloads);
    code(v.open_checksums, like.open_checksums);
    code(v.in_one_piece, like.in_one_piece);
  }
  void code_address(IpAddress& v, const IpAddress& likely, const IpAddress& like) {
    switch (number(v == likely ? 0 : v == like ? 1 : v.is_v4() ? 2 : v.is_set() ? 3 : 4)) {
      case 0:
        v = likely;
        return;
      case 1:
        v = like;
        return;
      case 2:
        v = IpAddress::v4(static_cast<uint32_t>(number(v.v4_bits())));
        return;
      case 3: {
        auto halves = std::bit_cast<std::array<uint64_t, 2>>(v.bytes());
        for (uint64_t& half : halves) half = number(half);
        v = IpAddress::v6(std::bit_cast<std::array<uint8_t, 16>>(halves));
        return;
      }
      default:
        v = {};
    }
  }
  void code(SocketId& v, const SocketId& like) {
    if (number(v == place_.id ? 0 : 1) == 0) {
      v = place_.id;
      return;
    }
    code(v.kind, like.kind);
    code(v.index, like.index);
    code(v.generation, like.generation);
  }

  // --- what is there, or is not; one of several ---
  template <class T>
  void code(Handle<T>& v, const Handle<T>& like) {
    code(v.index, like.index);
    code(v.generation, like.generation);
  }
  template <class T, size_t N>
  void code(std::array<T, N>& v, const std::array<T, N>& like) {
    for (size_t i = 0; i < N; ++i) code(v[i], like[i]);
  }
  template <class T>
  void code(std::optional<T>& v, const std::optional<T>& like) {
    if (!is_there(v.has_value(), like.has_value())) return v.reset();
    if (!v) v.emplace();
    code(*v, like ? *like : T{});
  }
  template <class T>
  void code(std::unique_ptr<T>& v, const std::unique_ptr<T>& like) {
    if (!is_there(v != nullptr, like != nullptr)) return v.reset();
    if (!v) v = std::make_unique<T>(blank<T>());
    if (like) return code(*v, *like);
    const T none = blank<T>();
    code(*v, none);
  }
  bool is_there(bool v, bool like) {
    code(v, like);
    return v;
  }
  template <class... T>
  void code(std::variant<T...>& v, const std::variant<T...>& like) {
    size_t index = v.index();
    code(index, like.index());
    if (index != v.index()) become<T...>(v, index, std::index_sequence_for<T...>{});
    std::visit(
        [&]<class A>(A& one) {
          if (const A* same = std::get_if<A>(&like)) return code(one, *same);
          const A none = blank<A>();
          code(one, none);
        },
        v);
  }
  template <class... T, size_t... I>
  static void become(std::variant<T...>& v, size_t index, std::index_sequence<I...>) {
    ((index == I ? void(v = blank<T>()) : void()), ...);
  }
  template <class T>
  static T blank() {
    if constexpr (std::is_default_constructible_v<T>)
      return T{};
    else
      return T(0);
  }

  Stream& stream_;
  const FoldPlace& place_;
  uint64_t last_time_ = 0;
  uint64_t last_position_ = 0;
};

}  // namespace limpid
