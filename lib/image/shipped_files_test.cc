#include "lib/image/shipped_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/byte_span.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ShippedFilesTest : public ::testing::Test {
 protected:
  // All of it, in pieces of `piece` bytes.
  absl::StatusOr<std::string> Read(const ShippedFile& file, size_t piece) {
    absl::StatusOr<ShippedFileReader> reader =
        ShippedFileReader::Open(dir_.path(), file);
    if (!reader.ok()) return reader.status();
    std::string all;
    std::vector<std::byte> bytes(piece);
    while (true) {
      absl::StatusOr<size_t> n = reader->Read(absl::MakeSpan(bytes));
      if (!n.ok()) return n.status();
      if (*n == 0) return all;
      all.append(reinterpret_cast<const char*>(bytes.data()), *n);
    }
  }

  TempDir dir_;
};

TEST_F(ShippedFilesTest, ImagesAreShippedAndNothingElse) {
  WriteFile(dir_.Join("pages-1.img"), "pages");
  WriteFile(dir_.Join("core-1.img"), "");
  for (const char* name : {"dump.log", "stats-dump", "pidfile", "a.img.new"}) {
    WriteFile(dir_.Join(name), "x");
  }
  ASSERT_EQ(symlink("/", dir_.Join("parent").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(std::vector<ShippedFile> files,
                       FilesToShip(dir_.path()));
  ASSERT_THAT(files, SizeIs(2));
  EXPECT_EQ(files[0].name, "core-1.img");
  EXPECT_EQ(files[0].size, 0u);
  EXPECT_EQ(files[1].name, "pages-1.img");
  EXPECT_EQ(files[1].size, 5u);
  EXPECT_EQ(files[1].digest, Xxh3::Of(BytesOf("pages")));
  EXPECT_THAT(Read(files[0], 4), IsOkAndHolds(""));
  for (size_t piece : {1, 4, 5, 6}) {
    EXPECT_THAT(Read(files[1], piece), IsOkAndHolds("pages")) << piece;
  }
}

TEST_F(ShippedFilesTest, AnImageThatIsNoFileIsNotShipped) {
  ASSERT_EQ(symlink("/etc/passwd", dir_.Join("core-1.img").c_str()), 0);
  EXPECT_FALSE(FilesToShip(dir_.path()).ok());
  ASSERT_EQ(unlink(dir_.Join("core-1.img").c_str()), 0);
  ASSERT_EQ(mkfifo(dir_.Join("core-1.img").c_str(), 0600), 0);
  EXPECT_THAT(FilesToShip(dir_.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ShippedFilesTest, WithoutADirectoryThereIsAnError) {
  EXPECT_THAT(FilesToShip(dir_.Join("nothing")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(FilesToShip(dir_.path()), IsOkAndHolds(IsEmpty()));
}

TEST_F(ShippedFilesTest, AFileThatChangesAfterItsDigestIsAnError) {
  WriteFile(dir_.Join("core-1.img"), "before");
  ASSERT_OK_AND_ASSIGN(std::vector<ShippedFile> files,
                       FilesToShip(dir_.path()));
  for (const char* now : {"befor", "befora", "before, and more", ""}) {
    WriteFile(dir_.Join("core-1.img"), now);
    for (size_t piece : {1, 6, 64}) {
      EXPECT_THAT(Read(files[0], piece),
                  StatusIs(absl::StatusCode::kDataLoss,
                           HasSubstr("core-1.img was changed")))
          << now;
    }
  }
}

}  // namespace
}  // namespace pagelift
