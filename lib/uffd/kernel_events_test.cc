// What the running kernel reports of a target that faults, forks, and changes
// its layout, in which order, and that nothing of it gets lost.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

FaultingThread StartRemap(std::byte* from, uint64_t pages, uint64_t new_pages,
                          int flags, std::byte* to) {
  return FaultingThread::Start([=] {
    return mremap(from, pages * kPageSize, new_pages * kPageSize, flags, to) !=
           MAP_FAILED;
  });
}

FaultingThread StartUnmap(std::byte* at, uint64_t pages) {
  return FaultingThread::Start([=] { return munmap(at, pages * kPageSize); });
}

FaultingThread StartAdvise(std::byte* at, uint64_t pages, int advice) {
  return FaultingThread::Start(
      [=] { return madvise(at, pages * kPageSize, advice); });
}

constexpr int kMoveTo = MREMAP_MAYMOVE | MREMAP_FIXED;

// Fails, and never skips, where a userfaultfd cannot be opened.
class KernelEventsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = UserfaultFd::Open(kLayoutEvents | Feature::kThreadId);
    ASSERT_OK(opened);
    uffd_.emplace(*std::move(opened));
  }
  const UserfaultFd& uffd() const { return *uffd_; }

  // Until the page that a thread asks for next has been zero-filled.
  PageFault ServeZero() const {
    const PageFault fault = WaitFor<PageFault>(uffd());
    RetryWhilePending([&] {
      return uffd().Zero({fault.page, PageCount(1)}, WakeMode::kWake);
    });
    return fault;
  }

 private:
  std::optional<UserfaultFd> uffd_;
};

TEST_F(KernelEventsTest, NothingIsQueuedAtFirst) {
  EventBuffer buffer;
  ASSERT_OK_AND_ASSIGN(absl::Span<Event> events, uffd().ReadEvents(buffer));
  EXPECT_TRUE(events.empty());
}

TEST_F(KernelEventsTest, FaultTellsPageKindAndThread) {
  MappedPages pages(uffd(), PageCount(2));
  FaultingThread thread = FaultingThread::StartRead(pages.data(1) + 123);
  const PageFault fault = ServeZero();
  EXPECT_EQ(fault.page, pages.at(1));
  EXPECT_EQ(fault.address, AddressOf(pages.at(1)));
  EXPECT_EQ(fault.kind, FaultKind::kMissing);
  EXPECT_FALSE(fault.is_write);
  EXPECT_EQ(fault.thread, static_cast<uint32_t>(thread.tid()));
  EXPECT_EQ(thread.Result(), 0);
}

TEST_F(KernelEventsTest, FaultTellsTheExactAddressIfAsked) {
  ASSERT_OK_AND_ASSIGN(UserfaultFd exact,
                       UserfaultFd::Open(Feature::kExactAddress));
  MappedPages pages(exact, PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data() + 123);
  EXPECT_EQ(WaitFor<PageFault>(exact).address, AddressOf(pages.at(0)) + 123);
  exact.Zero(pages.range(), WakeMode::kWake);
}

TEST_F(KernelEventsTest, EachWaitingThreadIsAFaultOfItsOwn) {
  MappedPages pages(uffd(), PageCount(1));
  std::vector<FaultingThread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.push_back(FaultingThread::StartRead(pages.data()));
  }
  EXPECT_EQ(WaitForEvents(uffd(), 8).size(), 8u);
  uffd().Zero(pages.range(), WakeMode::kWake);
  for (FaultingThread& thread : threads) EXPECT_EQ(thread.Result(), 0);
}

TEST_F(KernelEventsTest, FaultComesBeforeAnOlderEvent) {
  MappedPages pages(uffd(), PageCount(4));
  FaultingThread remover = StartAdvise(pages.data(), 4, MADV_DONTNEED);
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  FaultingThread reader = FaultingThread::StartRead(pages.data(1));
  ASSERT_TRUE(reader.WaitUntilBlocked());
  EventBuffer buffer;
  ASSERT_OK_AND_ASSIGN(absl::Span<Event> events, uffd().ReadEvents(buffer));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<PageFault>(events[0]));
  EXPECT_TRUE(std::holds_alternative<Removed>(events[1]));
  RetryWhilePending(
      [&] { return uffd().Zero(pages.range(), WakeMode::kWake); });
}

TEST_F(KernelEventsTest, RawMessagesDecodeToTheSameEvents) {
  MappedPages pages(uffd(), PageCount(1));
  // Shared with whoever outlives the reader.
  MappedPages journal(PageCount(1), Backing::kSharedFile);
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  const auto room = absl::MakeSpan(journal.data(), 100);
  ASSERT_OK_AND_ASSIGN(size_t length, uffd().ReadRaw(room));
  ASSERT_EQ(length, kEventMessageSize);
  ASSERT_OK_AND_ASSIGN(Event event, DecodeEvent(room.first(length)));
  EXPECT_EQ(std::get<PageFault>(event).page, pages.at(0));
  ASSERT_OK_AND_ASSIGN(length, uffd().ReadRaw(room));
  EXPECT_EQ(length, 0u);
  uffd().Zero(pages.range(), WakeMode::kWake);
}

TEST_F(KernelEventsTest, MoveIsARemapAndThenAnUnmap) {
  MappedPages pages(uffd(), PageCount(4));
  MappedPages to(PageCount(4));
  FaultingThread thread = StartRemap(pages.data(), 4, 4, kMoveTo, to.data());
  const auto remapped = WaitFor<Remapped>(uffd());
  EXPECT_EQ(remapped.from, pages.range());
  EXPECT_EQ(remapped.to, to.at(0));
  EXPECT_EQ(WaitFor<Unmapped>(uffd()).range, pages.range());
  EXPECT_EQ(thread.Result(), 1);
  FaultingThread reader = FaultingThread::StartRead(to.data(2));
  EXPECT_EQ(ServeZero().page, to.at(2));
  EXPECT_EQ(reader.Result(), 0);
  ASSERT_OK(uffd().Unregister(to.range()));
}

TEST_F(KernelEventsTest, MoveOverRegisteredMemoryUnmapsThatFirst) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages to(uffd(), PageCount(2));
  FaultingThread thread = StartRemap(pages.data(), 2, 2, kMoveTo, to.data());
  EXPECT_EQ(WaitFor<Unmapped>(uffd()).range, to.range());
  EXPECT_EQ(WaitFor<Remapped>(uffd()).to, to.at(0));
  EXPECT_EQ(WaitFor<Unmapped>(uffd()).range, pages.range());
  EXPECT_EQ(thread.Result(), 1);
}

TEST_F(KernelEventsTest, MoveAndShrinkUnmapsTheTailToo) {
  MappedPages pages(uffd(), PageCount(4));
  MappedPages to(PageCount(2));
  FaultingThread thread = StartRemap(pages.data(), 4, 2, kMoveTo, to.data());
  std::vector<Event> events = WaitForEvents(uffd(), 3);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(std::get<Remapped>(events[0]).from, pages.range(0, 2));
  EXPECT_EQ(std::get<Unmapped>(events[1]).range, pages.range(2, 2));
  EXPECT_EQ(std::get<Unmapped>(events[2]).range, pages.range(0, 2));
  EXPECT_EQ(thread.Result(), 1);
  ASSERT_OK(uffd().Unregister(to.range()));
}

TEST_F(KernelEventsTest, MoveAndGrowTellsTheOldLength) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages to(PageCount(4));
  FaultingThread thread = StartRemap(pages.data(), 2, 4, kMoveTo, to.data());
  EXPECT_EQ(WaitFor<Remapped>(uffd()).from, pages.range());
  WaitFor<Unmapped>(uffd());
  EXPECT_EQ(thread.Result(), 1);
  FaultingThread reader = FaultingThread::StartRead(to.data(3));
  EXPECT_EQ(ServeZero().page, to.at(3));
  reader.Result();
  ASSERT_OK(uffd().Unregister(to.range()));
}

TEST_F(KernelEventsTest, GrowthInPlaceIsSilentAndFaults) {
  MappedPages pages(PageCount(4));
  ASSERT_EQ(munmap(pages.data(2), 2 * kPageSize), 0);
  ASSERT_OK(uffd().Register(pages.range(0, 2), FaultKind::kMissing));
  // In this thread: a new one might put something into the hole.
  ASSERT_EQ(mremap(pages.data(), 2 * kPageSize, 4 * kPageSize, 0),
            pages.data());
  FaultingThread reader = FaultingThread::StartRead(pages.data(3));
  EXPECT_EQ(ServeZero().page, pages.at(3));
  reader.Result();
  ASSERT_OK(uffd().Unregister(pages.range()));
}

TEST_F(KernelEventsTest, MoveThatKeepsTheOldMappingIsARemapOnly) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages to(PageCount(2));
  FaultingThread thread =
      StartRemap(pages.data(), 2, 2, kMoveTo | MREMAP_DONTUNMAP, to.data());
  EXPECT_EQ(WaitFor<Remapped>(uffd()).from, pages.range());
  EXPECT_EQ(thread.Result(), 1);
  FaultingThread reader = FaultingThread::StartRead(pages.data(0));
  EXPECT_EQ(ServeZero().page, pages.at(0));
  reader.Result();
  ASSERT_OK(uffd().Unregister(to.range()));
}

TEST_F(KernelEventsTest, DoublingASharedMappingIsARemapOfNothing) {
  MappedPages pages(uffd(), PageCount(2), FaultKind::kMissing,
                    Backing::kSharedFile);
  MappedPages to(PageCount(2));
  FaultingThread thread = StartRemap(pages.data(), 0, 2, kMoveTo, to.data());
  const auto remapped = WaitFor<Remapped>(uffd());
  EXPECT_EQ(remapped.from, pages.range(0, 0));
  EXPECT_EQ(remapped.to, to.at(0));
  EXPECT_EQ(thread.Result(), 1);
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kRegistered);
  EXPECT_EQ(uffd().Probe(to.at(1)), Registration::kRegistered);
  ASSERT_OK(uffd().Unregister(to.range()));
}

TEST_F(KernelEventsTest, RemoveWaitsForItsReaderAndTakesTheContentsAfter) {
  MappedPages pages(uffd(), PageCount(2));
  uffd().Zero(pages.range(), WakeMode::kWake);
  FaultingThread thread = StartAdvise(pages.data(1), 1, MADV_DONTNEED);
  ASSERT_TRUE(thread.WaitUntilBlocked());
  EXPECT_TRUE(pages.IsPresent(1));
  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range(1, 1));
  EXPECT_EQ(thread.Result(), 0);
  EXPECT_FALSE(pages.IsPresent(1));
  EXPECT_TRUE(pages.IsPresent(0));
}

TEST_F(KernelEventsTest, RemoveOverSeveralMappingsIsOneEventEach) {
  MappedPages pages(uffd(), PageCount(4));
  ASSERT_EQ(mprotect(pages.data(2), kPageSize, PROT_READ), 0);
  FaultingThread thread = StartAdvise(pages.data(), 4, MADV_DONTNEED);
  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range(0, 2));
  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range(2, 1));
  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range(3, 1));
  EXPECT_EQ(thread.Result(), 0);
}

TEST_F(KernelEventsTest, UnmapTellsTheWholeRangeOnce) {
  MappedPages pages(PageCount(6));
  ASSERT_OK(uffd().Register(pages.range(1, 1), FaultKind::kMissing));
  ASSERT_OK(uffd().Register(pages.range(4, 1), FaultKind::kMissing));
  FaultingThread thread = StartUnmap(pages.data(), 6);
  EXPECT_EQ(WaitFor<Unmapped>(uffd()).range, pages.range());
  EXPECT_EQ(thread.Result(), 0);
}

TEST_F(KernelEventsTest, ThreadThatWaitsOnAVanishedPageHasToBeWoken) {
  MappedPages pages(uffd(), PageCount(2));
  FaultingThread reader = FaultingThread::StartRead(pages.data(1));
  WaitFor<PageFault>(uffd());
  ASSERT_TRUE(reader.WaitUntilBlocked());
  FaultingThread mapper = FaultingThread::Start([at = pages.data()] {
    return mmap(at, 2 * kPageSize, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at;
  });
  EXPECT_EQ(WaitFor<Unmapped>(uffd()).range, pages.range());
  EXPECT_EQ(mapper.Result(), 1);
  EXPECT_TRUE(reader.is_blocked());
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(reader.Result(), 0);
}

TEST_F(KernelEventsTest, ForkWaitsForItsReaderAndBringsTheChildsDescriptor) {
  MappedPages pages(uffd(), PageCount(2));
  ForkedChild process([at = pages.data(1)] { return static_cast<int>(*at); });
  ASSERT_TRUE(process.forking_thread().WaitUntilBlocked());
  Forked forked = WaitFor<Forked>(uffd());
  EXPECT_EQ(fcntl(forked.child.get(), F_GETFD), FD_CLOEXEC);
  ASSERT_OK_AND_ASSIGN(UserfaultFd child,
                       UserfaultFd::Adopt(std::move(forked.child)));
  EXPECT_EQ(child.features(), uffd().features());
  process.Run();
  EXPECT_EQ(WaitFor<PageFault>(child).page, pages.at(1));
  const std::vector<std::byte> page(kPageSize, std::byte{42});
  EXPECT_EQ(child.Copy(pages.at(1), page, WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(process.ExitCode(), 42);
  EXPECT_FALSE(pages.IsPresent(1));
}

TEST_F(KernelEventsTest, ClosingTheChildsDescriptorMakesItsPagesZero) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process([at = pages.data()] { return static_cast<int>(*at); });
  { Forked dropped = WaitFor<Forked>(uffd()); }
  process.Run();
  EXPECT_EQ(process.ExitCode(), 0);
}

TEST_F(KernelEventsTest, ForkWithoutAFreeDescriptorIsKept) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process;
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none_free = {3, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_free), 0);
  EventBuffer buffer;
  auto events = uffd().ReadEvents(buffer);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(events, StatusIs(absl::StatusCode::kResourceExhausted,
                               HasSubstr("no descriptor is free")));
  EXPECT_TRUE(process.forking_thread().WaitUntilBlocked());
  EXPECT_TRUE(WaitFor<Forked>(uffd()).child.valid());
  process.Run();
  EXPECT_EQ(process.ExitCode(), 0);
}

}  // namespace
}  // namespace pagelift
