#ifndef PAGELIFT_LIB_BASE_UNIQUE_FD_H_
#define PAGELIFT_LIB_BASE_UNIQUE_FD_H_

#include <utility>

namespace pagelift {

// Owns a file descriptor and closes it. By value it is handed over, as a member
// it is owned for life; a plain `int` elsewhere in the code is borrowed.
//
// Thread-compatible.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { reset(); }

  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor up without closing it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_UNIQUE_FD_H_
