// With real processes and a real CRIU.

#include "daemon/migration/parked/parked_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/types/span.h"
#include "daemon/migration/parked/criu_leash.h"
#include "daemon/migration/parked/frozen_tree.h"
#include "daemon/migration/parked/parked_dump.h"
#include "daemon/migration/parked/spool.h"
#include "daemon/migration/parked/spooling.h"
#include "daemon/migration/parked/testing/criu_target.h"
#include "daemon/migration/parked/tree_pages.h"
#include "gtest/gtest.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/checkpoint_image.h"
#include "lib/source/found_pages.h"

namespace pagelift {
namespace {

// A parked tree, and what a server of it has.
class ParkedStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    target_.Park();
    ASSERT_OK_AND_ASSIGN(
        auto image,
        CheckpointImage::Open(target_.images(), OpenMode::kLayoutOnly));
    description_ = image->description();
    ASSERT_OK_AND_ASSIGN(FrozenTree tree,
                         FrozenTree::Open(target_.images(), target_.main()));
    tree_.emplace(std::move(tree));
    ASSERT_OK_AND_ASSIGN(TreePages pages, TreePages::Of(description_, *tree_));
    pages_.emplace(std::move(pages));
    ASSERT_OK_AND_ASSIGN(spool_,
                         Spool::MakeInFile(target_.Join(""), description_));
  }

  // Copies some pages as a Spooling does.
  void SpoolFirst(PageCount count) {
    std::vector<std::byte> page(kPageSize);
    for (uint64_t i = 0; i < count.raw(); ++i) {
      const ImagePage next(spool_->has().raw());
      ASSERT_OK(pages_->Read({next, PageCount(1)}, absl::MakeSpan(page)));
      ASSERT_OK(spool_->Append(page));
    }
  }
  // Copies the rest. Returns how that ended.
  absl::Status SpoolRest() {
    absl::Notification is_done;
    absl::Status how;
    Spooling spooling(*pages_, *spool_, [&](absl::Status status) {
      how = std::move(status);
      is_done.Notify();
    });
    EXPECT_TRUE(is_done.WaitForNotificationWithTimeout(kSoon));
    return how;
  }
  // After this its memory is gone.
  void KillTree() {
    (void)tree_->Kill(absl::ZeroDuration());
    target_.leash().Reset();
    EXPECT_OK(target_.dump().WaitUntilEnded(kSoon));
    EXPECT_OK(tree_->Kill(kSoon));
  }
  ParkedStore Store() const {
    return ParkedStore(description_, &*pages_, *spool_);
  }
  // Of a page of the target's own.
  ImagePage ImagePageOf(pid_t pid, PageId page) const {
    for (const ImageExtent& extent : description_.FindTask(pid)->extents) {
      if (!extent.pages.Contains(page)) continue;
      return extent.image + (page - extent.pages.first);
    }
    ADD_FAILURE() << page << " is not in the image";
    return ImagePage(0);
  }

  CriuTarget target_;
  ImageDescription description_;
  std::optional<FrozenTree> tree_;
  std::optional<TreePages> pages_;
  std::unique_ptr<Spool> spool_;
};

// Whether the pages of one process of the target are found as it has filled
// them, through the door by which a page server looks for them.
void ExpectFound(const PageStore& store, uint64_t process, ImageRange range) {
  std::vector<std::byte> buffer(16 * kPageSize);
  uint64_t page = 0;
  while (page < range.count.raw()) {
    const FoundPages found = FindFirstPages(
        store, {range.first + PageCount(page), range.count - PageCount(page)},
        absl::MakeSpan(buffer));
    ASSERT_OK(found.lost);
    for (uint64_t i = 0; i < found.count.raw(); ++i, ++page) {
      uint64_t word = 0;
      if (!found.zero) {
        std::memcpy(&word, found.bytes.data() + i * kPageSize, sizeof(word));
      }
      ASSERT_EQ(word, TargetWord(process, page)) << "page " << page;
    }
  }
}

// Of all pages.
std::vector<std::byte> ReadAll(const PageStore& store) {
  const PageCount all = store.description().page_count;
  std::vector<std::byte> bytes(all.bytes());
  PageCount done;
  while (done < all) {
    const absl::StatusOr<PageCount> read =
        store.Read({ImagePage(done.raw()), all - done},
                   absl::MakeSpan(bytes).subspan(done.bytes()));
    EXPECT_OK(read);
    if (!read.ok()) break;
    done = done + *read;
  }
  return bytes;
}

TEST_F(ParkedStoreTest, ServesTheTreesMemoryBeforeAnythingIsSpooled) {
  const ParkedStore store = Store();
  const ImagePage main =
      ImagePageOf(target_.main(), target_.main_pages().first);
  const ImagePage child =
      ImagePageOf(target_.child(), target_.child_pages().first);
  ExpectFound(store, 0, {main, target_.main_pages().count});
  ExpectFound(store, 1, {child, target_.child_pages().count});
}

TEST_F(ParkedStoreTest, IsTheSameBeforeWhileAndAfterItIsSpooled) {
  const ParkedStore store = Store();
  const std::vector<std::byte> before = ReadAll(store);
  SpoolFirst(PageCount(description_.page_count.raw() / 2));
  EXPECT_TRUE(ReadAll(store) == before);
  ASSERT_OK(SpoolRest());
  EXPECT_TRUE(spool_->complete());
  EXPECT_TRUE(ReadAll(store) == before);
  KillTree();
  EXPECT_TRUE(ReadAll(store) == before);
  ExpectFound(store, 0,
              {ImagePageOf(target_.main(), target_.main_pages().first),
               target_.main_pages().count});
  // As after a restart of the host.
  ASSERT_OK_AND_ASSIGN(auto spool,
                       Spool::OpenFile(target_.Join(""), description_));
  EXPECT_TRUE(ReadAll(ParkedStore(description_, nullptr, *spool)) == before);
}

TEST_F(ParkedStoreTest, CanBeReadWhileTheSpoolGrows) {
  const ParkedStore store = Store();
  const std::vector<std::byte> before = ReadAll(store);
  absl::Notification is_done;
  Spooling spooling(*pages_, *spool_, [&](const absl::Status& status) {
    EXPECT_OK(status);
    is_done.Notify();
  });
  do {
    EXPECT_TRUE(ReadAll(store) == before);
  } while (!is_done.HasBeenNotified());
  EXPECT_TRUE(ReadAll(store) == before);
}

TEST_F(ParkedStoreTest, WhatIsNotSpooledDiesWithTheTree) {
  const ParkedStore store = Store();
  const std::vector<std::byte> before = ReadAll(store);
  SpoolFirst(PageCount(10));
  KillTree();
  EXPECT_THAT(SpoolRest(), StatusIs(absl::StatusCode::kDataLoss));
  std::vector<std::byte> bytes(10 * kPageSize);
  ASSERT_THAT(store.Read({ImagePage(0), PageCount(20)}, absl::MakeSpan(bytes)),
              IsOkAndHolds(PageCount(10)));
  EXPECT_EQ(std::memcmp(bytes.data(), before.data(), bytes.size()), 0);
  const ImageRange lost = {ImagePage(10), PageCount(2)};
  const auto data_loss = StatusIs(absl::StatusCode::kDataLoss);
  EXPECT_THAT(store.Read(lost, absl::MakeSpan(bytes)), data_loss);
  EXPECT_THAT(store.Check(lost).status, data_loss);
  EXPECT_THAT(FindFirstPages(store, lost, absl::MakeSpan(bytes)).lost,
              data_loss);
}

TEST_F(ParkedStoreTest, ADamagedSpoolIsNoticed) {
  ASSERT_OK(SpoolRest());
  KillTree();
  const ParkedStore store = Store();
  const ImagePage main =
      ImagePageOf(target_.main(), target_.main_pages().first);
  ASSERT_EQ(
      pwrite(spool_->fd(), "?", 1, static_cast<off_t>(main.raw() * kPageSize)),
      1);
  ASSERT_EQ(
      fallocate(spool_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>((main.raw() + 1) * kPageSize), kPageSize),
      0);
  std::vector<std::byte> buffer(kPageSize);
  for (uint64_t i : {0, 1}) {
    const FoundPages found = FindFirstPages(
        store, {main + PageCount(i), PageCount(1)}, absl::MakeSpan(buffer));
    EXPECT_THAT(found.lost, StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
  EXPECT_THAT(store.Check({main + PageCount(1), PageCount(1)}).status,
              StatusIs(absl::StatusCode::kDataLoss));
  ExpectFound(store, 1,
              {ImagePageOf(target_.child(), target_.child_pages().first),
               target_.child_pages().count});
}

TEST_F(ParkedStoreTest, AskedForPagesThatThereAreNotItSaysSo) {
  const ParkedStore store = Store();
  std::vector<std::byte> buffer(kPageSize);
  const auto refused = StatusIs(absl::StatusCode::kOutOfRange);
  const ImagePage limit(description_.page_count.raw());
  EXPECT_THAT(store.Read({limit, PageCount(1)}, absl::MakeSpan(buffer)),
              refused);
  EXPECT_THAT(
      store.Read({limit - PageCount(1), PageCount(2)}, absl::MakeSpan(buffer)),
      refused);
  EXPECT_THAT(store.Read({ImagePage(0), PageCount(0)}, absl::MakeSpan(buffer)),
              refused);
}

TEST_F(ParkedStoreTest, SpoolingCanBeStoppedAndGoneOnWith) {
  absl::Notification is_done;
  absl::Status how;
  {
    Spooling spooling(*pages_, *spool_, [&](absl::Status status) {
      how = std::move(status);
      is_done.Notify();
    });
  }
  ASSERT_TRUE(is_done.HasBeenNotified());
  // It may have been done before it was stopped.
  EXPECT_TRUE(how.ok() || absl::IsCancelled(how)) << how;
  EXPECT_OK(SpoolRest());
  EXPECT_OK(spool_->VerifyAll([] { return false; }));
}

TEST_F(ParkedStoreTest, AnotherTreesPagesAreRefused) {
  description_.tasks[0].pid += 1;
  EXPECT_THAT(TreePages::Of(description_, *tree_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(TreePages::Of(description_, FrozenTree({})),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace pagelift
