#include "lib/transport/batch_checksum.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

constexpr char kImage[] = "0123456789abcdef0123456789abcdef";

std::vector<ByteSpan> Cut(const std::string& pages, size_t size) {
  std::vector<ByteSpan> pieces;
  for (size_t at = 0; at < pages.size(); at += size) {
    pieces.emplace_back(reinterpret_cast<const std::byte*>(pages.data()) + at,
                        std::min(size, pages.size() - at));
  }
  return pieces;
}

class BatchChecksumTest : public ::testing::Test {
 protected:
  BatchChecksumTest() {
    pages_[77] = 'z';
    header_.id = 5;
    header_.range = {ImagePage(100), PageCount(3)};
  }
  uint64_t Now() const {
    return checksum_.Of(header_, Cut(pages_, pages_.size()));
  }

  std::string pages_ = std::string(PageCount(3).bytes(), 'q');
  PageBatchHeader header_;
  const BatchChecksum checksum_{kImage};
};

// So that whoever writes another client can compare; by Python's xxhash:
//   seed = xxh3_64_intdigest(image + struct.pack("<4Q", 100, 3, 0, 0))
//   xxh3_64_intdigest(pages, seed)
TEST_F(BatchChecksumTest, IsWhatTheProtocolSays) {
  EXPECT_EQ(Now(), 0x7aa314769e8b1d94);
}

TEST_F(BatchChecksumTest, DoesNotDependOnTheCut) {
  for (size_t size : {size_t{1000}, size_t{4096}, pages_.size()}) {
    EXPECT_EQ(checksum_.Of(header_, Cut(pages_, size)), Now()) << size;
  }
}

TEST_F(BatchChecksumTest, DependsOnEveryByteOfThePages) {
  const uint64_t whole = Now();
  pages_[77] = 'q';
  EXPECT_NE(Now(), whole);
}

TEST_F(BatchChecksumTest, DependsOnWhatThePagesAre) {
  const uint64_t before = Now();
  const PageBatchHeader header = header_;
  header_.range.first = ImagePage(101);
  EXPECT_NE(Now(), before);
  header_ = header;
  header_.compressed = true;
  EXPECT_NE(Now(), before);
  EXPECT_NE(BatchChecksum("another").Of(header, Cut(pages_, pages_.size())),
            before);
}

TEST_F(BatchChecksumTest, ZeroPagesAndErrorsHaveOneToo) {
  header_.zero = true;
  const uint64_t zero = checksum_.Of(header_, {});
  header_.range.count = PageCount(4);
  EXPECT_NE(checksum_.Of(header_, {}), zero);
  header_.range.count = PageCount(3);
  header_.zero = false;
  header_.error = absl::DataLossError("");
  const uint64_t lost = checksum_.Of(header_, {});
  EXPECT_NE(lost, zero);
  header_.error = absl::UnavailableError("");
  EXPECT_NE(checksum_.Of(header_, {}), lost);
}

// Only that it is outstanding matters.
TEST_F(BatchChecksumTest, DoesNotDependOnTheRequest) {
  const uint64_t before = Now();
  header_.id = 6;
  EXPECT_EQ(Now(), before);
}

}  // namespace
}  // namespace pagelift
