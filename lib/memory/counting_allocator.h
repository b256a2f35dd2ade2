#ifndef PAGELIFT_LIB_MEMORY_COUNTING_ALLOCATOR_H_
#define PAGELIFT_LIB_MEMORY_COUNTING_ALLOCATOR_H_

#include <cstddef>
#include <memory>
#include <type_traits>

namespace pagelift {

// What malloc() takes for a block: a word of its own, rounded to two.
constexpr size_t HeapBytes(size_t bytes) { return (bytes + 8 + 15) / 16 * 16; }

// std::allocator that keeps the sum of what its containers hold.
//
// The counter outlives the containers and is guarded by what guards them.
template <typename T>
class CountingAllocator {
 public:
  using value_type = T;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;

  explicit CountingAllocator(size_t* bytes) : bytes_(bytes) {}
  template <typename U>
  CountingAllocator(  // NOLINT(google-explicit-constructor)
      const CountingAllocator<U>& other)
      : bytes_(other.bytes()) {}

  T* allocate(size_t count) {
    T* memory = std::allocator<T>().allocate(count);
    *bytes_ += HeapBytes(count * sizeof(T));
    return memory;
  }
  void deallocate(T* memory, size_t count) {
    std::allocator<T>().deallocate(memory, count);
    *bytes_ -= HeapBytes(count * sizeof(T));
  }

  size_t* bytes() const { return bytes_; }

  template <typename U>
  friend bool operator==(const CountingAllocator& a,
                         const CountingAllocator<U>& b) {
    return a.bytes() == b.bytes();
  }
  template <typename U>
  friend bool operator!=(const CountingAllocator& a,
                         const CountingAllocator<U>& b) {
    return !(a == b);
  }

 private:
  size_t* bytes_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_COUNTING_ALLOCATOR_H_
