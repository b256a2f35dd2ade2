#include "daemon/migration/parked/spool.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kPages = 600;  // More than one piece.
constexpr char kContentId[] = "0123456789abcdef0123456789abcdef";

bool IsZeroPage(uint64_t page) { return page % 4 == 3; }
bool Never() { return false; }

// All pages: page n is PatternOf(n), or zeros.
std::vector<std::byte> Contents() {
  std::vector<std::byte> bytes;
  for (uint64_t page = 0; page < kPages; ++page) {
    const PageBytes contents =
        IsZeroPage(page) ? PageBytes() : PatternOf(ImagePage(page));
    bytes.insert(bytes.end(), contents.begin(), contents.end());
  }
  return bytes;
}

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest()
      : description_(OneTaskImage(7, {PageId(0x1000), PageCount(kPages)})) {
    description_.content_id = kContentId;
  }

  // The first pages, or all.
  void Fill(Spool& spool, PageCount pages = PageCount(kPages)) const {
    EXPECT_OK(spool.Append(ByteSpan(contents_).first(pages.bytes())));
  }
  std::unique_ptr<Spool> CompleteFile() const {
    absl::StatusOr<std::unique_ptr<Spool>> spool =
        Spool::MakeInFile(dir_.path(), description_);
    EXPECT_OK(spool);
    Fill(**spool);
    EXPECT_OK((*spool)->Complete(Never));
    return *std::move(spool);
  }
  void ExpectAllPages(const Spool& spool) const {
    std::vector<std::byte> bytes(contents_.size());
    ASSERT_THAT(
        spool.Read({ImagePage(0), PageCount(kPages)}, absl::MakeSpan(bytes)),
        IsOkAndHolds(PageCount(kPages)));
    EXPECT_TRUE(bytes == contents_);
    EXPECT_EQ(spool.Unchanged(ImagePage(0), bytes), PageCount(kPages));
    EXPECT_OK(spool.VerifyAll(Never));
  }
  std::string File() const { return dir_.Join(Spool::kName); }
  void ChangeByte(uint64_t at) const {
    const UniqueFd fd(open(File().c_str(), O_RDWR | O_CLOEXEC));
    char byte = 0;
    ASSERT_EQ(pread(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
  }

  const std::vector<std::byte> contents_ = Contents();
  ImageDescription description_;
  TempDir dir_;
};

TEST_F(SpoolTest, HasWhatWasAppended) {
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::MakeInMemory(description_));
  EXPECT_EQ(spool->has(), PageCount(0));
  Fill(*spool, PageCount(5));
  EXPECT_EQ(spool->has(), PageCount(5));
  EXPECT_FALSE(spool->complete());
  std::vector<std::byte> bytes(2 * kPageSize);
  ASSERT_THAT(spool->Read({ImagePage(2), PageCount(3)}, absl::MakeSpan(bytes)),
              IsOkAndHolds(PageCount(2)));
  EXPECT_TRUE(HoldsPattern(bytes.data(), ImagePage(2)));
  EXPECT_EQ(spool->Zeros({ImagePage(2), PageCount(3)}), PageCount(0));
  EXPECT_EQ(spool->Zeros({ImagePage(3), PageCount(2)}), PageCount(1));
}

TEST_F(SpoolTest, OneInMemoryIsAdoptedByItsDescriptor) {
  int fd = -1;
  {
    ASSERT_OK_AND_ASSIGN(auto spool, Spool::MakeInMemory(description_));
    EXPECT_EQ(fcntl(spool->fd(), F_GETFD), FD_CLOEXEC);
    Fill(*spool);
    ASSERT_OK(spool->Complete(Never));
    EXPECT_TRUE(spool->complete());
    fd = dup(spool->fd());
  }
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::Adopt(fd, description_));
  EXPECT_EQ(spool->fd(), fd);
  EXPECT_TRUE(spool->complete());
  ExpectAllPages(*spool);
}

TEST_F(SpoolTest, OneThatIsNotCompleteIsNotAdopted) {
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::MakeInMemory(description_));
  Fill(*spool);
  const auto refused = StatusIs(absl::StatusCode::kNotFound);
  EXPECT_THAT(Spool::Adopt(spool->fd(), description_), refused);
  EXPECT_THAT(Spool::Adopt(STDERR_FILENO, description_), refused);
  EXPECT_THAT(Spool::Adopt(-1, description_), refused);
  EXPECT_NE(fcntl(spool->fd(), F_GETFD), -1);
  EXPECT_NE(fcntl(STDERR_FILENO, F_GETFD), -1);
}

TEST_F(SpoolTest, AFileOutlivesEverybody) {
  CompleteFile();
  struct stat info;
  ASSERT_EQ(stat(File().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::OpenFile(dir_.path(), description_));
  EXPECT_EQ(spool->has(), PageCount(kPages));
  ExpectAllPages(*spool);
}

TEST_F(SpoolTest, PagesOfZerosTakeNoRoom) {
  description_ = OneTaskImage(7, {PageId(0x1000), PageCount(kPages)});
  description_.content_id = kContentId;
  ASSERT_OK_AND_ASSIGN(auto spool,
                       Spool::MakeInFile(dir_.path(), description_));
  ASSERT_OK(spool->Append(std::vector<std::byte>(contents_.size())));
  ASSERT_OK(spool->Complete(Never));
  struct stat info;
  ASSERT_EQ(stat(File().c_str(), &info), 0);
  EXPECT_LT(static_cast<uint64_t>(info.st_blocks) * 512, contents_.size() / 10);
  EXPECT_EQ(spool->Zeros({ImagePage(0), PageCount(kPages)}), PageCount(kPages));
}

TEST_F(SpoolTest, AFileThatIsNotCompleteIsMadeAnew) {
  {
    ASSERT_OK_AND_ASSIGN(auto spool,
                         Spool::MakeInFile(dir_.path(), description_));
    Fill(*spool);
  }
  EXPECT_THAT(Spool::OpenFile(dir_.path(), description_),
              StatusIs(absl::StatusCode::kNotFound));
  ExpectAllPages(*CompleteFile());
}

TEST_F(SpoolTest, AChangedByteIsNoticed) {
  CompleteFile();
  ChangeByte(2 * kPageSize + 5);
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::OpenFile(dir_.path(), description_));
  EXPECT_THAT(spool->VerifyAll(Never),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("page 2")));
  std::vector<std::byte> bytes(4 * kPageSize);
  ASSERT_OK(spool->Read({ImagePage(0), PageCount(4)}, absl::MakeSpan(bytes)));
  EXPECT_EQ(spool->Unchanged(ImagePage(0), bytes), PageCount(2));
}

TEST_F(SpoolTest, AHoleIsNotMistakenForData) {
  CompleteFile();
  const UniqueFd fd(open(File().c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(8 * kPageSize), kPageSize),
            0);
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::OpenFile(dir_.path(), description_));
  EXPECT_THAT(spool->VerifyAll(Never), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(spool->Zeros({ImagePage(8), PageCount(1)}), PageCount(0));
  EXPECT_EQ(spool->Zeros({ImagePage(7), PageCount(1)}), PageCount(1));
}

TEST_F(SpoolTest, DamagedDigestsAreNoDigests) {
  CompleteFile();
  ChangeByte(contents_.size() + 100);
  EXPECT_THAT(Spool::OpenFile(dir_.path(), description_),
              StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_EQ(truncate(File().c_str(), static_cast<off_t>(contents_.size()) + 9),
            0);
  EXPECT_THAT(Spool::OpenFile(dir_.path(), description_),
              StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_EQ(truncate(File().c_str(), 100), 0);
  EXPECT_THAT(Spool::OpenFile(dir_.path(), description_),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SpoolTest, TheSpoolOfAnotherImageIsRefused) {
  CompleteFile();
  description_.content_id[0] = 'f';
  EXPECT_THAT(Spool::OpenFile(dir_.path(), description_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(SpoolTest, CanBeStoppedWhileItIsReadBack) {
  ASSERT_OK_AND_ASSIGN(auto spool, Spool::MakeInMemory(description_));
  Fill(*spool);
  EXPECT_THAT(spool->Complete([] { return true; }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_FALSE(spool->complete());
  EXPECT_OK(spool->Complete(Never));
}

// A file system with room for a few pages.
class SmallFilesystem {
 public:
  explicit SmallFilesystem(std::string path) : path_(std::move(path)) {
    EXPECT_EQ(mkdir(path_.c_str(), 0700), 0);
    // Nobody else sees it, and it goes with the test.
    EXPECT_EQ(unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    EXPECT_EQ(mount("none", path_.c_str(), "tmpfs", 0, "size=64k"), 0);
  }
  ~SmallFilesystem() { umount2(path_.c_str(), MNT_DETACH); }
  void Enlarge() const {
    EXPECT_EQ(mount("none", path_.c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

TEST_F(SpoolTest, SaysHowMuchRoomIsMissingAndGoesOnWhenThereIs) {
  const SmallFilesystem small(dir_.Join("small"));
  ASSERT_OK_AND_ASSIGN(auto spool,
                       Spool::MakeInFile(small.path(), description_));
  Fill(*spool, PageCount(4));
  const ByteSpan rest = ByteSpan(contents_).subspan(4 * kPageSize);
  EXPECT_THAT(spool->Append(rest),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr(std::to_string(rest.size() + 8 * kPages))));
  EXPECT_EQ(spool->has(), PageCount(4));
  small.Enlarge();
  ASSERT_OK(spool->Append(rest));
  ASSERT_OK(spool->Complete(Never));
  ExpectAllPages(*spool);
}

TEST_F(SpoolTest, NeedsADirectory) {
  EXPECT_THAT(Spool::MakeInFile("/no/such/directory", description_),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Spool::OpenFile(dir_.path(), description_),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
