#include "daemon/pager/session/testing/target_storm.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

constexpr int kRounds = 600;

// What one page has to hold.
struct Expected {
  bool from_image = true;   // Else zero.
  uint64_t first_word = 0;  // If it was written.
  bool written = false;
  int home = 0;
};

class Storm {
 public:
  Storm(PageRange pages, PageId other_home, PageCount first_image,
        uint32_t seed)
      : homes_{pages.first, other_home},
        first_image_(first_image.raw()),
        expected_(pages.count.raw()),
        random_(seed) {}

  int64_t Run(std::array<std::byte, kPageSize>& message) {
    for (int round = 0; round < kRounds && wrong_ == 0; ++round) Step();
    CheckAll();
    std::memcpy(message.data(), first_wrong_, sizeof(first_wrong_));
    return wrong_;
  }

 private:
  size_t Pick(size_t limit) { return random_() % limit; }

  std::byte* At(size_t page) const {
    return AtHome(page, expected_[page].home);
  }
  std::byte* AtHome(size_t page, int home) const {
    return reinterpret_cast<std::byte*>(
        AddressOf(homes_[home] + PageCount(page)));
  }

  void Step() {
    const size_t dice = Pick(100);
    if (dice < 55) {
      Check(Pick(expected_.size()));
    } else if (dice < 70) {
      Write(Pick(expected_.size()));
    } else if (dice < 82) {
      Discard();
    } else if (dice < 94) {
      Move();
    } else if (dice < 98) {
      Split();
    } else {
      Fork();
    }
  }

  // A few pages that lie one after the other in one home.
  PageRange Run() {
    const size_t first = Pick(expected_.size());
    const size_t most = std::min(expected_.size(), first + 1 + Pick(12));
    size_t limit = first + 1;
    while (limit < most && expected_[limit].home == expected_[first].home) {
      ++limit;
    }
    return {PageId(first), PageCount(limit - first)};
  }

  void Check(size_t page) {
    const Expected& expected = expected_[page];
    PageBytes want = {};
    if (expected.from_image) want = PatternOf(ImagePage(first_image_ + page));
    if (expected.written) {
      std::memcpy(want.data(), &expected.first_word, sizeof(uint64_t));
    }
    if (std::memcmp(At(page), want.data(), kPageSize) == 0) return;
    uint64_t got;
    uint64_t due;
    std::memcpy(&got, At(page) + 8, sizeof(got));
    std::memcpy(&due, want.data() + 8, sizeof(due));
    if (wrong_++ > 0) return;
    snprintf(first_wrong_, sizeof(first_wrong_),
             "page %zu in home %d: from image %d, written %d, second word "
             "%llx, not %llx",
             page, expected.home, expected.from_image, expected.written,
             static_cast<unsigned long long>(got),
             static_cast<unsigned long long>(due));
  }

  void CheckAll() {
    for (size_t page = 0; page < expected_.size(); ++page) Check(page);
  }

  void Write(size_t page) {
    Expected& expected = expected_[page];
    expected.first_word = random_();
    expected.written = true;
    std::memcpy(At(page), &expected.first_word, sizeof(expected.first_word));
  }

  void Discard() {
    const PageRange run = Run();
    if (madvise(At(run.first.raw()), run.count.bytes(), MADV_DONTNEED) != 0) {
      Fail("madvise");
    }
    for (size_t i = run.first.raw(); i < run.limit().raw(); ++i) {
      const int home = expected_[i].home;
      expected_[i] = Expected();
      expected_[i].from_image = false;
      expected_[i].home = home;
    }
  }

  void Move() {
    const PageRange run = Run();
    const int home = expected_[run.first.raw()].home;
    // Of several mappings at once only newer kernels can move.
    size_t count = run.count.raw();
    while (mremap(AtHome(run.first.raw(), home), count * kPageSize,
                  count * kPageSize, MREMAP_MAYMOVE | MREMAP_FIXED,
                  AtHome(run.first.raw(), 1 - home)) == MAP_FAILED) {
      if (count == 1) return Fail("mremap");
      count = 1;
    }
    for (size_t i = 0; i < count; ++i) {
      expected_[run.first.raw() + i].home = 1 - home;
    }
  }

  // Makes a border between mappings, or unmakes it.
  void Split() {
    const PageRange run = Run();
    madvise(At(run.first.raw()), run.count.bytes(),
            Pick(2) == 0 ? MADV_DONTDUMP : MADV_DODUMP);
  }

  void Fork() {
    const pid_t pid = fork();
    if (pid < 0) return Fail("fork");
    if (pid == 0) {
      CheckAll();
      _exit(wrong_ == 0 ? 0 : 1);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0) Fail("child");
  }

  void Fail(const char* what) {
    if (wrong_++ == 0) snprintf(first_wrong_, sizeof(first_wrong_), "%s", what);
  }

  const PageId homes_[2];
  const uint64_t first_image_;
  std::vector<Expected> expected_;
  std::minstd_rand random_;
  int64_t wrong_ = 0;
  char first_wrong_[200] = "";
};

}  // namespace

int64_t RunStorm(PageRange pages, PageId other_home, PageCount first_image,
                 uint32_t seed, std::array<std::byte, kPageSize>& message) {
  return Storm(pages, other_home, first_image, seed).Run(message);
}

}  // namespace pagelift
