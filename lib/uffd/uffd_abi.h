#ifndef PAGELIFT_LIB_UFFD_UFFD_ABI_H_
#define PAGELIFT_LIB_UFFD_UFFD_ABI_H_

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <cstdint>

// What newer kernels have and the build machine's <linux/userfaultfd.h> may
// lack, under names of our own so that a newer header does not clash. For
// lib/uffd only.
namespace pagelift::abi {

inline constexpr unsigned long kIocNew = _IO(0xAA, 0x00);  // Linux 6.1.

inline constexpr uint64_t kContinueModeWp = uint64_t{1} << 1;  // Linux 6.4.

struct PoisonArgs {  // Linux 6.6.
  uffdio_range range;
  uint64_t mode;
  int64_t updated;
};
inline constexpr uint64_t kPoisonModeDontWake = uint64_t{1} << 0;
inline constexpr unsigned long kIocPoison = _IOWR(0xAA, 0x08, PoisonArgs);

struct MoveArgs {  // Linux 6.8.
  uint64_t dst;
  uint64_t src;
  uint64_t len;
  uint64_t mode;
  int64_t move;
};
inline constexpr uint64_t kMoveModeDontWake = uint64_t{1} << 0;
inline constexpr uint64_t kMoveModeAllowSrcHoles = uint64_t{1} << 1;
inline constexpr unsigned long kIocMove = _IOWR(0xAA, 0x05, MoveArgs);

static_assert(kIocPoison == 0xc020aa08);
static_assert(kIocMove == 0xc028aa05);

// In the features that /proc/self/fdinfo shows: the handshake is done.
inline constexpr uint64_t kInitialized = uint64_t{1} << 31;

}  // namespace pagelift::abi

#endif  // PAGELIFT_LIB_UFFD_UFFD_ABI_H_
