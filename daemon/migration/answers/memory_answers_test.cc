// With a real tree and a real CRIU.

#include "daemon/migration/answers/memory_answers.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/migration/parked/complete_pagemaps.h"
#include "daemon/migration/parked/criu_leash.h"
#include "daemon/migration/parked/frozen_tree.h"
#include "daemon/migration/parked/parked_dump.h"
#include "daemon/migration/parked/testing/criu_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/image/pagemap.h"

namespace pagelift {
namespace {

using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// Of the pages of one task, in their order: where they are, and what is said of
// them; neighbours of which the same is said are joined.
using Picture = std::vector<std::pair<PageRange, uint32_t>>;

Picture PictureOf(const std::string& path) {
  absl::StatusOr<std::string> contents = ReadFile(path);
  EXPECT_OK(contents);
  absl::StatusOr<Pagemap> pagemap = DecodePagemap(path, contents.value_or(""));
  EXPECT_OK(pagemap);
  Picture picture;
  if (!pagemap.ok()) return picture;
  for (const PagemapEntry& entry : pagemap->entries) {
    const uint32_t flags = BitsOf(entry.flags);
    if (!picture.empty() && picture.back().second == flags &&
        picture.back().first.limit() == entry.pages.first) {
      picture.back().first.count =
          picture.back().first.count + entry.pages.count;
    } else {
      picture.emplace_back(entry.pages, flags);
    }
  }
  return picture;
}

// What matters of images, which has to be the same however it came about.
struct Images {
  explicit Images(const std::string& directory) {
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
      const std::string name = file.path().filename();
      if (absl::StartsWith(name, "pagemap-")) {
        pagemaps[name] = PictureOf(file.path());
      } else if (absl::StartsWith(name, "mm-") ||
                 absl::StartsWith(name, "pages-")) {
        absl::StatusOr<std::string> contents = ReadFile(file.path());
        EXPECT_OK(contents);
        others[name] = contents.value_or("");
      }
    }
  }

  std::map<std::string, Picture> pagemaps;
  std::map<std::string, std::string> others;
};

class MemoryAnswersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(answers_, MemoryAnswers::Prepare());
  }

  // Parks the tree, into a directory of that name, and lets it go on.
  void Dump(const std::string& name, MemoryAnswers* answers) {
    DumpPlan plan = target_.Plan();
    plan.images = target_.Join(name);
    plan.answers = answers;
    plan.says_all = true;
    ASSERT_EQ(mkdir(plan.images.c_str(), 0700), 0);
    ASSERT_OK_AND_ASSIGN(CriuLeash::Pair pair, CriuLeash::Make());
    ASSERT_OK_AND_ASSIGN(
        ParkedDump dump,
        ParkedDump::Start(plan, pair.leash, std::move(pair.for_criu)));
    ASSERT_OK(dump.WaitUntilParked(pair.leash, kSoon));
    if (dump.answered()) {
      ASSERT_OK_AND_ASSIGN(FrozenTree tree,
                           FrozenTree::Open(plan.images, target_.main()));
      EXPECT_OK(CompletePagemaps(plan.images, tree, *answers));
    }
    dump.Abandon(pair.leash);
    EXPECT_TRUE(target_.CountsOn(kMain));
    EXPECT_TRUE(target_.CountsOn(kChild));
  }

  // The same tree dumped twice: only what its counting touches may differ.
  void ExpectImagesOfCriu() {
    Dump("with", answers_.get());
    Dump("without", nullptr);
    const Images with(target_.Join("with"));
    const Images without(target_.Join("without"));
    EXPECT_THAT(with.pagemaps, SizeIs(Gt(1u)));
    for (const auto& [name, pagemap] : without.pagemaps) {
      ASSERT_TRUE(with.pagemaps.count(name) == 1) << name;
      EXPECT_THAT(with.pagemaps.at(name), ::testing::ContainerEq(pagemap))
          << name;
    }
    EXPECT_EQ(with.pagemaps.size(), without.pagemaps.size());
    ASSERT_EQ(with.others.size(), without.others.size());
    for (const auto& [name, contents] : without.others) {
      if (absl::StartsWith(name, "mm-")) {
        EXPECT_TRUE(with.others.at(name) == contents) << name;
      } else {  // Some have changed meanwhile.
        EXPECT_EQ(with.others.at(name).size(), contents.size()) << name;
      }
    }
  }

  std::string Log(const std::string& name) const {
    return ReadFile(absl::StrCat(target_.Join(name), "/", ParkedDump::kLog))
        .value_or("");
  }

  std::unique_ptr<MemoryAnswers> answers_;
  CriuTarget target_{PageCount(3000)};
};

TEST_F(MemoryAnswersTest, ImagesAreThoseThatCriuMakes) { ExpectImagesOfCriu(); }

TEST_F(MemoryAnswersTest, ImagesAreTheSameWhenMemoryWasLookedAtAhead) {
  answers_->LookAhead({target_.main(), target_.child(), 1 << 30});
  ExpectImagesOfCriu();
}

TEST_F(MemoryAnswersTest, CriuTakesNoLazyPage) {
  Dump("with", answers_.get());
  Dump("without", nullptr);
  EXPECT_OK(answers_->LazyPagesOf(target_.main()));
  EXPECT_OK(answers_->LazyPagesOf(target_.child()));
  // It tells for each mapping how many pages it has taken.
  EXPECT_THAT(Log("without"), HasSubstr("(3000 lazy)"));
  EXPECT_THAT(Log("with"), Not(HasSubstr("(3000 lazy)")));
  EXPECT_THAT(Log("with"), HasSubstr("(0 lazy)"));
  EXPECT_THAT(Log("with"), Not(HasSubstr("lazy pages server")));
}

TEST_F(MemoryAnswersTest, AProcessThatWasNotDumpedIsNotKnown) {
  EXPECT_THAT(answers_->LazyPagesOf(target_.main()),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(MemoryAnswersTest, WithoutAnAnswerTheTreeGoesOn) {
  DumpPlan plan = target_.Plan();
  plan.answers = answers_.get();
  ASSERT_OK_AND_ASSIGN(CriuLeash::Pair pair, CriuLeash::Make());
  ASSERT_OK_AND_ASSIGN(
      ParkedDump dump,
      ParkedDump::Start(plan, pair.leash, std::move(pair.for_criu)));
  ASSERT_OK(dump.WaitUntilReady(pair.leash, kSoon));
  // As if we had died, just after this.
  answers_.reset();
  ASSERT_OK(pair.leash.rpc().Answer(true));
  EXPECT_THAT(dump.WaitUntilEnded(kSoon), IsOkAndHolds(std::optional<int>(1)));
  pair.leash.Reset();
  EXPECT_TRUE(target_.CountsOn(kMain));
  EXPECT_TRUE(target_.CountsOn(kChild));
}

// The last one here: a process can ask at one place only, and so can none that
// it starts.
TEST_F(MemoryAnswersTest, WhereCriuCannotAskItLooksForItself) {
  const std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {static_cast<unsigned short>(filter.size()),
                              const_cast<sock_filter*>(filter.data())};
  const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  ASSERT_GE(listener, 0);
  const UniqueFd kept(static_cast<int>(listener));
  Dump("without", answers_.get());
  EXPECT_THAT(answers_->LazyPagesOf(target_.main()),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Log("without"), HasSubstr("(3000 lazy)"));
}

}  // namespace
}  // namespace pagelift
