#include "daemon/pager/journal/descriptor_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "daemon/pager/journal/testing/fake_service_manager.h"
#include "gtest/gtest.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

bool AreTheSame(int one, int other) {
  struct stat a;
  struct stat b;
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino &&
         a.st_dev == b.st_dev;
}

class DescriptorStoreTest : public ::testing::Test {
 protected:
  DescriptorStoreTest() { page_->descriptor = 1000; }

  TempDir dir_;
  FakeServiceManager manager_{dir_.Join("notify")};
  const std::unique_ptr<HolderPage> page_ = std::make_unique<HolderPage>();
  const DescriptorStore store_{page_.get()};
};

TEST_F(DescriptorStoreTest, WhatIsKeptGoesThereUnderItsNumber) {
  const UniqueFd kept(open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(store_.Keep(kept.get()));
  EXPECT_EQ(manager_.NextMessage(),
            absl::StrCat("FDSTORE=1\nFDPOLL=0\nFDNAME=pagelift.", kept.get()));
  EXPECT_TRUE(AreTheSame(manager_.received(), kept.get()));
  store_.TakeOut(kept.get());
  EXPECT_EQ(manager_.NextMessage(),
            absl::StrCat("FDSTOREREMOVE=1\nFDNAME=pagelift.", kept.get()));
  EXPECT_EQ(manager_.received(), -1);
}

TEST_F(DescriptorStoreTest, ThePageIsToldFromTheOthers) {
  const UniqueFd page(open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC));
  page_->descriptor = page.get();
  EXPECT_TRUE(store_.Keep(page.get()));
  EXPECT_EQ(
      manager_.NextMessage(),
      absl::StrCat("FDSTORE=1\nFDPOLL=0\nFDNAME=pagelift-page.", page.get()));
}

TEST_F(DescriptorStoreTest, NothingIsNoDescriptor) {
  EXPECT_TRUE(store_.Keep(-1));
  store_.TakeOut(-1);
  EXPECT_EQ(manager_.NextMessage(), "");
}

TEST_F(DescriptorStoreTest, WithoutAManagerThereIsNothingToDo) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(store_.Keep(0));
  store_.TakeOut(0);
  EXPECT_EQ(page_->store_is_wrong, 0u);
}

TEST_F(DescriptorStoreTest, AManagerThatCannotBeToldHasAStoreWorthNothing) {
  manager_.Close();
  EXPECT_FALSE(store_.Keep(0));
  // What is missing there is only lost.
  EXPECT_EQ(page_->store_is_wrong, 0u);
  store_.TakeOut(0);
  EXPECT_EQ(page_->store_is_wrong, 1u);
}

TEST_F(DescriptorStoreTest, AManagerThatDoesNotReadIsNotWaitedForForEver) {
  for (int i = 0; i < 100000 && page_->store_is_wrong == 0; ++i) {
    store_.TakeOut(0);
  }
  EXPECT_EQ(page_->store_is_wrong, 1u);
}

}  // namespace
}  // namespace pagelift
