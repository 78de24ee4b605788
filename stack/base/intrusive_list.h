// A doubly linked list whose links live inside the elements: no allocation to join, O(1) to leave.
// An element is in at most one list through each of its ListHook bases; the hook leaves on destruction.
#pragma once

#include <cstddef>

namespace limpid {

template <class Tag = void>
class ListHook {
 public:
  ListHook() = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
  }

 private:
  template <class, class>
  friend class IntrusiveList;
  ListHook* prev_ = nullptr;
  ListHook* next_ = nullptr;
};

template <class T, class Tag = void>
class IntrusiveList {
 public:
  IntrusiveList() { head_.prev_ = head_.next_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) front().ListHook<Tag>::unlink();
    head_.prev_ = head_.next_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() { return element(head_.next_); }
  const T& front() const { return element(head_.next_); }
  // The element after `t`, or null at the end.
  T* next(T& t) { return static_cast<Hook&>(t).next_ == &head_ ? nullptr : &element(static_cast<Hook&>(t).next_); }
  void push_back(T& t) { insert(head_.prev_, t); }
  void push_front(T& t) { insert(&head_, t); }
  T& pop_front() {
    T& t = front();
    static_cast<Hook&>(t).unlink();
    return t;
  }

 private:
  using Hook = ListHook<Tag>;
  static T& element(Hook* hook) { return static_cast<T&>(*hook); }
  static void insert(Hook* after, Hook& h) {
    h.unlink();
    h.prev_ = after;
    h.next_ = after->next_;
    after->next_->prev_ = &h;
    after->next_ = &h;
  }
  Hook head_;
};

}  // namespace limpid
