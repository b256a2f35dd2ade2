#include "lib/process/registered_ranges.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PageRange kEverything = {PageId(0), PageCount(uint64_t{1} << 52)};

constexpr char kSmaps[] =
    "10000-14000 rw-p 00000000 00:00 0                          [heap]\n"
    "Size:                 16 kB\n"
    "Rss:                   0 kB\n"
    "VmFlags: rd wr mr mw me ac um sd \n"
    "14000-15000 r--p 00000000 00:00 0 \n"
    "VmFlags: rd mr mw me lo um uw sd \n"
    "20000-22000 rw-p 00000000 00:00 0 /tmp/VmFlags: a-b (deleted)\n"
    "FilePmdMapped:         0 kB\n"
    "VmFlags: rd wr wf um dc gu\n"
    "7f0000000000-7f0000001000 rw-s 00000000 00:01 5 /memfd:x (deleted)\n"
    "VmFlags: rd wr sh mr mw me ms ui \n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]\n"
    "VmFlags: ex \n";

TEST(RegisteredRangesTest, ReadsTheFlagsOfEachMapping) {
  ASSERT_OK_AND_ASSIGN(auto ranges, RegisteredRanges::Parse(kSmaps));
  ASSERT_EQ(ranges.mappings().size(), 5u);
  const Mapping& heap = ranges.mappings()[0];
  EXPECT_EQ(heap.pages, PagesOf(0x10000, 0x14000));
  EXPECT_TRUE(heap.registered_missing);
  EXPECT_FALSE(heap.registered_write_protect);
  EXPECT_FALSE(heap.shared);
  EXPECT_FALSE(heap.locked);
  EXPECT_TRUE(ranges.mappings()[1].registered_write_protect);
  EXPECT_TRUE(ranges.mappings()[1].locked);
  const Mapping& third = ranges.mappings()[2];
  EXPECT_TRUE(third.wipe_on_fork);
  EXPECT_TRUE(third.left_out_of_forks);
  EXPECT_FALSE(heap.left_out_of_forks);
  EXPECT_TRUE(third.guarded);
  EXPECT_TRUE(ranges.mappings()[3].registered_minor);
  EXPECT_TRUE(ranges.mappings()[3].shared);
  EXPECT_FALSE(ranges.mappings()[4].registered());
}

TEST(RegisteredRangesTest, PartsAreCutToTheQuestionAndJoined) {
  ASSERT_OK_AND_ASSIGN(auto ranges, RegisteredRanges::Parse(kSmaps));
  EXPECT_THAT(ranges.RegisteredIn(kEverything),
              ElementsAre(PagesOf(0x10000, 0x15000), PagesOf(0x20000, 0x22000),
                          PagesOf(0x7f0000000000, 0x7f0000001000)));
  EXPECT_THAT(
      ranges.RegisteredIn(PagesOf(0x13000, 0x21000)),
      ElementsAre(PagesOf(0x13000, 0x15000), PagesOf(0x20000, 0x21000)));
  EXPECT_THAT(ranges.RegisteredIn(PagesOf(0x15000, 0x20000)), IsEmpty());
  EXPECT_THAT(ranges.RegisteredIn(PagesOf(0x12000, 0x12000)), IsEmpty());
  EXPECT_THAT(ranges.WipedOnForkIn(kEverything),
              ElementsAre(PagesOf(0x20000, 0x22000)));
}

TEST(RegisteredRangesTest, MappingThatGrewInTheMeantimeIsCut) {
  ASSERT_OK_AND_ASSIGN(
      auto ranges,
      RegisteredRanges::Parse("10000-14000 rw-p 0 0:0 0\nVmFlags: um\n"
                              "12000-16000 rw-p 0 0:0 0\nVmFlags: rd\n"
                              "13000-15000 rw-p 0 0:0 0\nVmFlags: um\n"));
  ASSERT_EQ(ranges.mappings().size(), 2u);
  EXPECT_EQ(ranges.mappings()[1].pages, PagesOf(0x14000, 0x16000));
}

TEST(RegisteredRangesTest, RefusesWhatIsNotSmaps) {
  for (const char* text : {
           "",
           "hello\n",
           "10000-14000 rw-p 00000000 00:00 0\n",
           "10000-14000 rw-p 0 0:0 0\n14000-15000 rw-p 0 0:0 0\nVmFlags: um\n",
           "VmFlags: um\n",
           "10000-14000 rw-p 0 0:0 0\nVmFlags: um\nVmFlags: um\n",
           "14000-10000 rw-p 0 0:0 0\nVmFlags: um\n",
           "10001-14000 rw-p 0 0:0 0\nVmFlags: um\n",
       }) {
    EXPECT_THAT(RegisteredRanges::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(RegisteredRangesTest, ReadsThisVeryProcess) {
  void* at = mmap(nullptr, 4 * kPageSize, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(at, MAP_FAILED);
  ASSERT_EQ(madvise(at, 2 * kPageSize, MADV_WIPEONFORK), 0);
  const PageRange pages = {PageContaining(reinterpret_cast<uint64_t>(at)),
                           PageCount(4)};
  ASSERT_OK_AND_ASSIGN(auto ranges, RegisteredRanges::OfProcess(getpid()));
  EXPECT_GT(ranges.mappings().size(), 10u);
  EXPECT_THAT(ranges.WipedOnForkIn(pages),
              ElementsAre(PageRange{pages.first, PageCount(2)}));
  EXPECT_THAT(ranges.RegisteredIn(kEverything), IsEmpty());
  munmap(at, 4 * kPageSize);
}

TEST(RegisteredRangesTest, ProcessWithoutMemory) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT),
            0);
  EXPECT_THAT(RegisteredRanges::OfProcess(child),
              StatusIs(absl::StatusCode::kNotFound));
  waitpid(child, nullptr, 0);
  EXPECT_THAT(RegisteredRanges::OfProcess(child),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
