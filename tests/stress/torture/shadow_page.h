#ifndef TESTS_STRESS_TORTURE_SHADOW_PAGE_H_
#define TESTS_STRESS_TORTURE_SHADOW_PAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::stress {

using e2e::kPageBytes;
using e2e::PageTag;
using e2e::WrongWord;

// What one page must be: what it holds, and what may be done to it. Goes with
// the page wherever that is moved.
//
// A plain value without pointers: a forked child's copy is right as it is.
struct ShadowPage {
  enum class Contents : uint8_t {
    kUnmapped,
    kZero,
    kPattern,
    kPatternOrZero,  // After MADV_FREE the kernel may take it at any time.
  };
  enum class Access : uint8_t { kReadWrite, kRead, kNone };
  static constexpr uint16_t kNoPatch = 0xffff;
  static constexpr size_t kHistory = 12;

  Contents contents = Contents::kUnmapped;
  Access access = Access::kReadWrite;
  bool locked = false;
  bool wipe_on_fork = false;
  bool dont_fork = false;
  uint16_t patched_word = kNoPatch;  // Which word is not the pattern's.
  uint64_t patch = 0;                // What it is instead.
  uint64_t number = 0;               // The pattern's; never that of another.
  uint32_t generation = 0;           // Never goes back, so that old bytes show.
  // Numbers of the operations that had to do with it, the latest last.
  std::array<uint32_t, kHistory> history = {};

  bool mapped() const { return contents != Contents::kUnmapped; }
  bool writable() const { return mapped() && access == Access::kReadWrite; }
  bool readable() const { return mapped() && access != Access::kNone; }

  // Whether one system call does the same to both.
  bool SameAttributes(const ShadowPage& other) const {
    return mapped() == other.mapped() && access == other.access &&
           locked == other.locked && wipe_on_fork == other.wipe_on_fork &&
           dont_fork == other.dont_fork;
  }

  void Note(uint32_t operation);
  void BecomeUnmapped();
  void BecomeZero();   // Mapped, as it was.
  void BecomeFresh();  // A new mapping: zero, and nothing special.

  // What is wrong with `page` as contents of this one, if anything.
  std::optional<WrongWord> Check(uint64_t seed, const std::byte* page) const;
  // Writes what the page must hold. REQUIRES: kZero or kPattern.
  void Fill(uint64_t seed, std::byte* page) const;
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_SHADOW_PAGE_H_
