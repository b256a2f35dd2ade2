#include "lib/workingset/working_set_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr PageCount kPages(100);

Recording Of(uint64_t page) {
  Recording recording;
  recording.Append({ImagePage(page), PageCount(1)});
  return recording;
}

class WorkingSetFileTest : public ::testing::Test {
 protected:
  WorkingSetFile Open(const std::string& content_id = "c0ffee") {
    auto file = WorkingSetFile::Open(dir_.path(), content_id, kPages);
    EXPECT_OK(file);
    return *std::move(file);
  }

  // The first pages of the recordings that are kept.
  static std::vector<uint64_t> Kept(const WorkingSetFile& file) {
    auto set = file.Read();
    EXPECT_OK(set);
    std::vector<uint64_t> pages;
    for (const KeptRecording& kept : set->recordings) {
      pages.push_back(kept.recording.runs()[0].first.raw());
    }
    return pages;
  }

  void Add(uint64_t page, const std::string& content_id = "c0ffee") {
    EXPECT_OK(Open(content_id).Add(Of(page), absl::FromUnixSeconds(1000)));
  }

  TempDir dir_;
  const std::string path_ = dir_.Join(WorkingSetFile::kName);
};

TEST_F(WorkingSetFileTest, NoFileKeepsNothing) {
  ASSERT_OK_AND_ASSIGN(const WorkingSet set, Open().Read());
  EXPECT_THAT(set.recordings, IsEmpty());
  EXPECT_THAT(set.ignored, IsEmpty());
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(WorkingSetFileTest, KeepsTheNewestThree) {
  for (uint64_t page = 1; page <= 5; ++page) Add(page);
  EXPECT_THAT(Kept(Open()), ElementsAre(5, 4, 3));
  ASSERT_OK_AND_ASSIGN(const WorkingSet set, Open().Read());
  EXPECT_EQ(set.recordings[0].kept, absl::FromUnixSeconds(1000));
}

TEST_F(WorkingSetFileTest, IsOneFileForItsUserOnly) {
  Add(1);
  struct stat status;
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(dir_.path())) {
    EXPECT_EQ(entry.path(), path_);
    ++files;
  }
  EXPECT_EQ(files, 1u);
}

TEST_F(WorkingSetFileTest, DropKeepsNothing) {
  Add(1);
  WriteFile(path_ + ".new", "of a writer that was killed");
  EXPECT_OK(Open().Drop());
  EXPECT_TRUE(fs::is_empty(dir_.path()));
  EXPECT_OK(Open().Drop());
}

TEST_F(WorkingSetFileTest, ThatOfAnotherCheckpointIsIgnoredAndReplaced) {
  Add(1, "beef");
  ASSERT_OK_AND_ASSIGN(const WorkingSet set, Open().Read());
  EXPECT_THAT(set.recordings, IsEmpty());
  EXPECT_EQ(set.ignored, path_ + " is ignored: it is of another checkpoint");
  Add(2);
  EXPECT_THAT(Kept(Open()), ElementsAre(2));
}

TEST_F(WorkingSetFileTest, ADamagedFileIsIgnoredAndReplaced) {
  WriteFile(path_, "not a message");
  ASSERT_OK_AND_ASSIGN(const WorkingSet set, Open().Read());
  EXPECT_THAT(set.ignored, HasSubstr("is ignored: it is damaged"));
  Add(2);
  EXPECT_THAT(Kept(Open()), ElementsAre(2));
}

TEST_F(WorkingSetFileTest, FollowsNoLink) {
  WriteFile(dir_.Join("precious"), "x");
  fs::create_symlink("precious", path_);
  fs::create_symlink("precious", dir_.Join("pagelift-working-set.new"));
  ASSERT_OK_AND_ASSIGN(const WorkingSet set, Open().Read());
  EXPECT_THAT(set.ignored, HasSubstr("it is not a regular file"));
  Add(2);
  EXPECT_THAT(Kept(Open()), ElementsAre(2));
  EXPECT_EQ(fs::file_size(dir_.Join("precious")), 1u);
}

TEST_F(WorkingSetFileTest, DoesNotWaitOnAPipeNorReadAHugeFile) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(Open().Read()->ignored, HasSubstr("not a regular file"));
  fs::remove(path_);
  WriteFile(path_, "");
  fs::resize_file(path_, uint64_t{1} << 40);
  EXPECT_THAT(Open().Read()->ignored, HasSubstr("it is too large"));
}

TEST_F(WorkingSetFileTest, WhatCannotBeReplacedIsAnErrorAndLeavesNothing) {
  fs::create_directory(path_);
  EXPECT_THAT(Open().Add(Of(1), absl::UnixEpoch()).message(),
              HasSubstr(path_ + ": rename"));
  EXPECT_FALSE(fs::exists(dir_.Join("pagelift-working-set.new")));
  EXPECT_THAT(WorkingSetFile::Open(dir_.Join("nope"), "c", kPages),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nope")));
}

TEST_F(WorkingSetFileTest, WorksInADirectoryThatIsOpenAsAPathOnly) {
  UniqueFd fd(open(dir_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const WorkingSetFile file(std::move(fd), "known/as", "c0ffee", kPages);
  EXPECT_OK(file.Add(Of(7), absl::UnixEpoch()));
  EXPECT_THAT(Kept(file), ElementsAre(7));
  WriteFile(path_, "bad");
  EXPECT_THAT(file.Read()->ignored,
              HasSubstr("known/as/pagelift-working-set is ignored"));
}

TEST_F(WorkingSetFileTest, WritersTakeTurns) {
  const WorkingSetFile shared = Open();
  std::vector<std::thread> threads;
  for (uint64_t page = 0; page < 3; ++page) {
    threads.emplace_back([&shared, page] {
      EXPECT_OK(shared.Add(Of(page), absl::UnixEpoch()));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Kept(Open()), SizeIs(3));  // None overwrote another's.
}

TEST_F(WorkingSetFileTest, DoesNotWaitForEverForTheLock) {
  const UniqueFd fd(open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(fd.get(), LOCK_EX), 0);
  EXPECT_THAT(Open().Add(Of(1), absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("lock")));
  EXPECT_THAT(Kept(Open()), IsEmpty()) << "reading needs no lock";
}

}  // namespace
}  // namespace pagelift
