#include "daemon/pager/session/page_cursor.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ByteSpan = absl::Span<const std::byte>;

// Pages of which each consists of its own number, cut into pieces of `sizes`.
class PageCursorTest : public ::testing::Test {
 protected:
  void Fill(int pages, const std::vector<size_t>& sizes) {
    bytes_.clear();
    for (int i = 0; i < pages; ++i) {
      bytes_.insert(bytes_.end(), kPageSize, static_cast<std::byte>(i));
    }
    size_t at = 0;
    for (size_t size : sizes) {
      pieces_.push_back(ByteSpan(bytes_).subspan(at, size));
      at += size;
    }
    ASSERT_EQ(at, bytes_.size());
  }

  static void ExpectPages(ByteSpan span, int first, int count) {
    ASSERT_EQ(span.size(), count * kPageSize);
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(span[i * kPageSize], static_cast<std::byte>(first + i));
      EXPECT_EQ(span[(i + 1) * kPageSize - 1],
                static_cast<std::byte>(first + i));
    }
  }

  std::vector<std::byte> bytes_;
  std::vector<ByteSpan> pieces_;
};

TEST_F(PageCursorTest, GivesWholePagesThatLieTogether) {
  Fill(4, {4 * kPageSize});
  PageCursor cursor(pieces_, PageCount(0));
  ExpectPages(cursor.Next(PageCount(3)), 0, 3);
  ExpectPages(cursor.Next(PageCount(3)), 3, 1);
}

TEST_F(PageCursorTest, PutsAStraddlingPageTogether) {
  Fill(4, {kPageSize + 100, 50, 2 * kPageSize, kPageSize - 150});
  PageCursor cursor(pieces_, PageCount(0));
  ExpectPages(cursor.Next(PageCount(9)), 0, 1);
  ExpectPages(cursor.Next(PageCount(9)), 1, 1);  // In three pieces.
  ExpectPages(cursor.Next(PageCount(9)), 2, 1);
  ExpectPages(cursor.Next(PageCount(9)), 3, 1);
}

TEST_F(PageCursorTest, StartsWithinTheBatch) {
  Fill(4, {10, 2 * kPageSize, 0, 2 * kPageSize - 10});
  PageCursor cursor(pieces_, PageCount(2));
  ExpectPages(cursor.Next(PageCount(9)), 2, 1);
  ExpectPages(cursor.Next(PageCount(9)), 3, 1);
}

}  // namespace
}  // namespace pagelift
