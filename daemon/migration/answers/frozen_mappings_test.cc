// With the flags that the running kernel has.

#include "daemon/migration/answers/frozen_mappings.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/child_program.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class FrozenMappingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(VmaFlagReader reader, VmaFlagReader::Load());
    reader_.emplace(std::move(reader));
    ASSERT_OK_AND_ASSIGN(VmaFlagNames names, VmaFlagNames::Learn(*reader_));
    names_.emplace(std::move(names));
  }

  // The bits of a mapping that was just made here.
  uint64_t BitsOf(void* memory) {
    absl::StatusOr<std::vector<VmaFlags>> all = reader_->Read(getpid());
    EXPECT_OK(all);
    if (!all.ok()) return 0;
    const PageId page = PageContaining(reinterpret_cast<uint64_t>(memory));
    for (const VmaFlags& vma : *all) {
      if (vma.pages.Contains(page)) return vma.bits;
    }
    ADD_FAILURE() << "there is no mapping";
    return 0;
  }
  uint64_t BitsOfNew(int flags, int protection = PROT_READ | PROT_WRITE) {
    // Between pages of none: it joins no neighbour, whose flags it would have.
    auto* const room = static_cast<char*>(
        mmap(nullptr, 3 * kPageSize, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    EXPECT_NE(room, MAP_FAILED);
    void* const memory = mmap(room + kPageSize, kPageSize, protection,
                              flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    const uint64_t bits = BitsOf(memory);
    munmap(room, 3 * kPageSize);
    return bits;
  }
  absl::StatusOr<FrozenMappings> Of(const std::string& maps,
                                    const std::vector<VmaFlags>& flags) {
    return FrozenMappings::Of(maps, flags, *names_);
  }
  std::vector<PageRange> LazyOf(const std::string& rest, uint64_t bits) {
    absl::StatusOr<FrozenMappings> mappings =
        Of(absl::StrCat("10000-12000 ", rest, "\n"), {{kPages, bits}});
    EXPECT_OK(mappings);
    return mappings.ok() ? mappings->lazy : std::vector<PageRange>();
  }

  static constexpr PageRange kPages = PagesOf(0x10000, 0x12000);
  std::optional<VmaFlagReader> reader_;
  std::optional<VmaFlagNames> names_;
};

// The addresses and flags of /proc/PID/smaps, and of what we make of it.
std::vector<std::string> Essence(const std::string& smaps) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(smaps, '\n')) {
    const absl::string_view first = line.substr(0, line.find(' '));
    if (absl::StrContains(first, '-') || absl::StartsWith(line, "VmFlags: ")) {
      lines.emplace_back(line);
    }
  }
  return lines;
}

TEST_F(FrozenMappingsTest, TheSameAsTheKernelTells) {
  ProgramStart start;
  start.argv = {"python3", "-c",
                "import mmap, time, sys\n"
                "m = mmap.mmap(-1, 65536, mmap.MAP_PRIVATE)\n"
                "m.madvise(mmap.MADV_DONTFORK)\n"
                "sys.stdout.flush()\n"
                "time.sleep(1000)\n"};
  ASSERT_OK_AND_ASSIGN(ChildProgram program, ChildProgram::Start(start));
  const std::string proc = absl::StrCat("/proc/", program.pid());
  // Until it sleeps.
  ASSERT_TRUE(Eventually([&proc] {
    return absl::StartsWith(
        ReadFile(absl::StrCat(proc, "/syscall")).value_or(""), "230 ");
  }));
  ASSERT_OK_AND_ASSIGN(const std::string maps,
                       ReadFile(absl::StrCat(proc, "/maps")));
  ASSERT_OK_AND_ASSIGN(const std::string smaps,
                       ReadFile(absl::StrCat(proc, "/smaps")));
  ASSERT_OK_AND_ASSIGN(const std::vector<VmaFlags> flags,
                       reader_->Read(program.pid()));
  ASSERT_OK_AND_ASSIGN(const FrozenMappings mappings,
                       FrozenMappings::Of(maps, flags, *names_));
  EXPECT_THAT(Essence(smaps), Contains(HasSubstr(" dc ")));
  EXPECT_EQ(Essence(mappings.smaps), Essence(smaps));
  EXPECT_THAT(mappings.lazy, Not(IsEmpty()));
  EXPECT_OK(program.process().Kill());
  EXPECT_OK(program.Wait());
}

TEST_F(FrozenMappingsTest, ManyMappingsAreListedOnce) {
  std::vector<void*> made;
  for (int i = 0; i < 5000; ++i) {
    made.push_back(mmap(nullptr, kPageSize, i % 2 ? PROT_READ : PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<VmaFlags> flags,
                       reader_->Read(getpid()));
  EXPECT_GT(flags.size(), 5000u);
  EXPECT_LT(flags.size(), 7000u);
  for (void* memory : made) munmap(memory, kPageSize);
}

TEST_F(FrozenMappingsTest, WhatIsPrivateAndAnonymousIsLazy) {
  const uint64_t bits = BitsOfNew(MAP_PRIVATE);
  EXPECT_THAT(LazyOf("rw-p 00000000 00:00 0 ", bits), ElementsAre(kPages));
  EXPECT_THAT(LazyOf("rw-p 00000000 00:00 0    [heap]", bits),
              ElementsAre(kPages));
  EXPECT_THAT(LazyOf("rw-p 00000000 00:00 0    [stack]", bits),
              ElementsAre(kPages));
  EXPECT_THAT(LazyOf("rw-p 00000000 00:00 0    [anon:a b]", bits),
              ElementsAre(kPages));
}

TEST_F(FrozenMappingsTest, WhatIsOfAFileSharedOrSpecialIsNot) {
  const uint64_t bits = BitsOfNew(MAP_PRIVATE);
  EXPECT_THAT(LazyOf("rw-p 00000000 08:01 7    /lib/x", bits), IsEmpty());
  EXPECT_THAT(LazyOf("rw-p 00000000 00:01 7    /dev/zero (deleted)", bits),
              IsEmpty());
  EXPECT_THAT(LazyOf("r-xp 00000000 00:00 0    [vdso]", bits), IsEmpty());
  EXPECT_THAT(LazyOf("rw-s 00000000 00:00 0 ", bits), IsEmpty());
  EXPECT_THAT(
      LazyOf("rw-p 00000000 00:00 0 ", BitsOfNew(MAP_PRIVATE | MAP_LOCKED)),
      IsEmpty());
}

TEST_F(FrozenMappingsTest, NeighboursAreJoined) {
  const uint64_t bits = BitsOfNew(MAP_PRIVATE);
  const uint64_t read_only = BitsOfNew(MAP_PRIVATE, PROT_READ);
  ASSERT_OK_AND_ASSIGN(
      const FrozenMappings mappings,
      Of("10000-12000 rw-p 00000000 00:00 0 \n"
         "12000-14000 r--p 00000000 00:00 0 \n"
         "15000-16000 rw-p 00000000 00:00 0 \n"
         "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 "
         "                 [vsyscall]\n",
         {{kPages, bits},
          {PagesOf(0x12000, 0x14000), read_only},
          {PagesOf(0x15000, 0x16000), bits}}));
  EXPECT_THAT(mappings.lazy, ElementsAre(PagesOf(0x10000, 0x14000),
                                         PagesOf(0x15000, 0x16000)));
  EXPECT_THAT(mappings.smaps, HasSubstr("[vsyscall]\nVmFlags: ex \n"));
}

TEST_F(FrozenMappingsTest, OnlyGuardedMemoryMayHaveGuards) {
  if (!names_->names_guards()) GTEST_SKIP() << "the kernel does not tell";
  constexpr int kGuardInstall = 102;
  void* memory = mmap(nullptr, 2 * kPageSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_EQ(madvise(memory, kPageSize, kGuardInstall), 0);
  const uint64_t guarded = BitsOf(memory);
  munmap(memory, 2 * kPageSize);
  const std::string maps = "10000-12000 rw-p 00000000 00:00 0 \n";
  ASSERT_OK_AND_ASSIGN(FrozenMappings mappings,
                       Of(maps, {{kPages, BitsOfNew(MAP_PRIVATE)}}));
  EXPECT_FALSE(mappings.maybe_guarded);
  ASSERT_OK_AND_ASSIGN(mappings, Of(maps, {{kPages, guarded}}));
  EXPECT_TRUE(mappings.maybe_guarded);
}

TEST_F(FrozenMappingsTest, WhatDoesNotFitIsRefused) {
  const uint64_t bits = BitsOfNew(MAP_PRIVATE);
  const std::string maps = "10000-12000 rw-p 00000000 00:00 0 \n";
  const auto is_refused = StatusIs(absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Of(maps, {}).status(), is_refused);
  EXPECT_THAT(Of(maps, {{PagesOf(0x10000, 0x11000), bits}}).status(),
              is_refused);
  EXPECT_THAT(
      Of(maps, {{kPages, bits}, {PagesOf(0x12000, 0x13000), bits}}).status(),
      is_refused);
  EXPECT_THAT(Of("nonsense\n", {{kPages, bits}}).status(), is_refused);
  // A flag that no mapping of ours has: the highest.
  EXPECT_THAT(Of(maps, {{kPages, bits | uint64_t{1} << 63}}).status(),
              is_refused);
}

TEST_F(FrozenMappingsTest, AProcessThatHasEndedHasNone) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT),
            0);
  EXPECT_THAT(reader_->Read(child).status(),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(reader_->Read(child).ok());
}

}  // namespace
}  // namespace pagelift
