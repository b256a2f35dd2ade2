#include "daemon/pager/journal/descriptor_store.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
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

// What a service manager has been told.
class DescriptorStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    page_->descriptor = 1000;
    manager_ = UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    dir_.Join("notify").copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(manager_.get(), reinterpret_cast<sockaddr*>(&address),
                   sizeof(address)),
              0);
    setenv("NOTIFY_SOCKET", dir_.Join("notify").c_str(), 1);
  }
  void TearDown() override { unsetenv("NOTIFY_SOCKET"); }

  // Empty if there is none. What came with it is in got_.
  std::string NextMessage() {
    char text[256];
    iovec place = {text, sizeof(text)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    got_.reset();
    const ssize_t length = recvmsg(manager_.get(), &message, MSG_DONTWAIT);
    if (length < 0) return "";
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
      got_ = UniqueFd(fd);
    }
    return std::string(text, static_cast<size_t>(length));
  }

  TempDir dir_;
  UniqueFd manager_;
  UniqueFd got_;
  const std::unique_ptr<HolderPage> page_ = std::make_unique<HolderPage>();
  const DescriptorStore store_{page_.get()};
};

TEST_F(DescriptorStoreTest, WhatIsKeptGoesThereUnderItsNumber) {
  const UniqueFd kept(open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(store_.Keep(kept.get()));
  EXPECT_EQ(NextMessage(),
            absl::StrCat("FDSTORE=1\nFDPOLL=0\nFDNAME=pagelift.", kept.get()));
  EXPECT_TRUE(AreTheSame(got_.get(), kept.get()));
  store_.TakeOut(kept.get());
  EXPECT_EQ(NextMessage(),
            absl::StrCat("FDSTOREREMOVE=1\nFDNAME=pagelift.", kept.get()));
  EXPECT_FALSE(got_.valid());
}

TEST_F(DescriptorStoreTest, ThePageIsToldFromTheOthers) {
  const UniqueFd page(open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC));
  page_->descriptor = page.get();
  EXPECT_TRUE(store_.Keep(page.get()));
  EXPECT_EQ(
      NextMessage(),
      absl::StrCat("FDSTORE=1\nFDPOLL=0\nFDNAME=pagelift-page.", page.get()));
}

TEST_F(DescriptorStoreTest, NothingIsNoDescriptor) {
  EXPECT_TRUE(store_.Keep(-1));
  store_.TakeOut(-1);
  EXPECT_EQ(NextMessage(), "");
}

TEST_F(DescriptorStoreTest, WithoutAManagerThereIsNothingToDo) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(store_.Keep(0));
  store_.TakeOut(0);
  EXPECT_EQ(page_->store_is_wrong, 0u);
}

TEST_F(DescriptorStoreTest, AManagerThatCannotBeToldHasAStoreWorthNothing) {
  manager_.reset();
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
