#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_ADDRESS_SPACE_TEST_BASE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_ADDRESS_SPACE_TEST_BASE_H_

#include <sys/mman.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/pager/session/address_space.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"

namespace pagelift {

// An address space of this process's own memory. The test is the event thread
// and the source, step by step; threads of this process are the target.
class AddressSpaceTestBase : public ::testing::Test {
 protected:
  using Answer = AddressSpace::Answer;
  using Outcome = AddressSpace::Outcome;

  static constexpr PageCount kPages{64};
  // Pages from here on are not in the image.
  static constexpr PageCount kInImage{40};
  // Nothing is registered from here on.
  static constexpr PageCount kRegistered{48};
  static constexpr int kMoveTo = MREMAP_MAYMOVE | MREMAP_FIXED;

  static int FirstByteOf(uint64_t image_page) {
    return static_cast<int>(PatternOf(ImagePage(image_page))[0]);
  }

  void SetUp() override { Adopt(kRegistered, std::nullopt); }

  void Adopt(PageCount registered, std::optional<PidFd> pid) {
    space_.reset();  // Two cannot have the same pages.
    ASSERT_OK_AND_ASSIGN(UserfaultFd uffd, UserfaultFd::Open(kLayoutEvents));
    const PageRange range{pages_.at(0), registered};
    ASSERT_OK(uffd.Register(range, FaultKind::kMissing));
    PageMap map;
    ASSERT_OK(map.Add({pages_.at(0), kInImage}, ImagePage(0)));
    RangeSet regions;
    regions.Insert(range);
    space_ = std::make_shared<AddressSpace>(
        MemoryBehind(std::move(uffd)),
        SpaceLayout(std::move(map), std::move(regions)), std::move(pid),
        stats_);
  }

  // Reads and applies what is queued; the faults are in faults_.
  void Drain() { Drain(*space_); }
  void Drain(AddressSpace& space) {
    EXPECT_OK(space.Drain(&faults_, [this](std::shared_ptr<AddressSpace> c) {
      children_.push_back(std::move(c));
    }));
  }

  // Drains until `thread` has ended; resolves no fault.
  void DrainUntilEnded(const FaultingThread& thread) {
    EXPECT_TRUE(Eventually([&] {
      if (thread.has_ended()) return true;
      Drain();
      return false;
    }));
  }

  // As a session does, with a source that answers at once: drains and resolves
  // until `thread` has ended.
  void ServeUntilEnded(AddressSpace& space, const FaultingThread& thread) {
    EXPECT_TRUE(Eventually([&] {
      if (thread.has_ended()) return true;
      Drain(space);
      std::vector<PageId> pages = space.waiting().Deferred();
      for (const PageFault& fault : faults_) pages.push_back(fault.page);
      faults_.clear();
      for (PageId page : pages) {
        ImagePage image;
        if (AddressSpace::AsksSource(space.Resolve(page, &image))) {
          InstallWhenPossible(space, image.raw(), 1);
        }
      }
      return false;
    }));
  }
  int Touch(uint64_t page) { return TouchAt(pages_.at(page)); }
  int TouchAt(PageId page) {
    FaultingThread thread = FaultingThread::StartRead(
        reinterpret_cast<std::byte*>(AddressOf(page)));
    ServeUntilEnded(*space_, thread);
    return thread.Result().value_or(-1);
  }

  Outcome Install(AddressSpace& space, uint64_t first, uint64_t count) {
    std::vector<std::byte> bytes;
    for (uint64_t i = 0; i < count; ++i) {
      const PageBytes page = PatternOf(ImagePage(first + i));
      bytes.insert(bytes.end(), page.begin(), page.end());
    }
    const absl::Span<const std::byte> piece = bytes;
    return space.Install({ImagePage(first), PageCount(count)}, {&piece, 1},
                         PageCount(0));
  }
  void InstallWhenPossible(AddressSpace& space, uint64_t first,
                           uint64_t count) {
    EXPECT_TRUE(Eventually([&] {
      if (Install(space, first, count) == Outcome::kDone) return true;
      Drain(space);
      return false;
    }));
  }

  // Until a fault was read; resolves it.
  Answer AnswerToFault(uint64_t page) {
    EXPECT_TRUE(Eventually([this] {
      if (faults_.empty()) Drain();
      return !faults_.empty();
    }));
    faults_.clear();
    ImagePage image;
    return space_->Resolve(pages_.at(page), &image);
  }

  FaultingThread StartMove(uint64_t from, uint64_t count, PageId to,
                           uint64_t to_count, int flags = kMoveTo) {
    return FaultingThread::Start([at = pages_.data(from), count, to, to_count,
                                  flags] {
      return mremap(at, PageCount(count).bytes(), PageCount(to_count).bytes(),
                    flags, AddressOf(to)) != MAP_FAILED;
    });
  }
  void Move(uint64_t from, uint64_t count, PageId to, uint64_t to_count,
            int flags = kMoveTo) {
    FaultingThread thread = StartMove(from, count, to, to_count, flags);
    DrainUntilEnded(thread);
    ASSERT_EQ(thread.Result(), 1) << "mremap failed";
  }
  FaultingThread StartAdvise(uint64_t page, uint64_t count, int advice) {
    return FaultingThread::Start([at = pages_.data(page), count, advice] {
      return madvise(at, PageCount(count).bytes(), advice);
    });
  }

  MappedPages pages_{kPages};
  MappedPages elsewhere_{kPages};
  SessionStats stats_;
  std::shared_ptr<AddressSpace> space_;
  std::vector<PageFault> faults_;
  std::vector<std::shared_ptr<AddressSpace>> children_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_ADDRESS_SPACE_TEST_BASE_H_
