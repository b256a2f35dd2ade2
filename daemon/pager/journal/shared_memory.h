#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_SHARED_MEMORY_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_SHARED_MEMORY_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A part of a SharedMemory, as we see it. What is written here is there for the
// next process that maps it, whatever becomes of this one.
class SharedMapping {
 public:
  SharedMapping() = default;
  ~SharedMapping();
  SharedMapping(SharedMapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  SharedMapping& operator=(SharedMapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  template <typename T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  friend class SharedMemory;
  SharedMapping(std::byte* data, size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// A memfd: memory that lives as long as a descriptor of it is open. What was
// never written takes no memory and reads as zeros, so it may be as large as
// one likes.
//
// Thread-safe: every call is one system call on an immutable descriptor.
class SharedMemory {
 public:
  // `name` is what /proc shows.
  static absl::StatusOr<SharedMemory> Create(const char* name, size_t size);
  static absl::StatusOr<SharedMemory> Adopt(UniqueFd fd);

  // REQUIRES: whole pages of 4096 bytes within size().
  absl::StatusOr<SharedMapping> Map(size_t offset, size_t size) const;
  // Zeros again, without memory.
  void Free(size_t offset, size_t size) const;

  size_t size() const { return size_; }
  int fd() const { return fd_.get(); }

 private:
  SharedMemory(UniqueFd fd, size_t size) : fd_(std::move(fd)), size_(size) {}

  UniqueFd fd_;
  size_t size_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_SHARED_MEMORY_H_
