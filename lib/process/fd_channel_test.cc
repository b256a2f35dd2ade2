#include "lib/process/fd_channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/testing/channel_pair.h"
#include "lib/process/testing/send_with_fds.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

absl::Span<const std::byte> BytesOf(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string TextOf(const std::vector<std::byte>& bytes, size_t size) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), size);
}

bool IsSameFile(int a, int b) {
  struct stat first;
  struct stat second;
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

int LowestFreeDescriptor() {
  UniqueFd next(dup(0));
  return next.get();
}

class FdChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto ends = MakeChannelPair();
    ASSERT_OK(ends);
    ours_.emplace(std::move(ends->first));
    theirs_.emplace(std::move(ends->second));
  }

  std::optional<FdChannel> ours_;
  std::optional<FdChannel> theirs_;
  std::vector<std::byte> room_ = std::vector<std::byte>(4);
};

TEST_F(FdChannelTest, BytesArriveInOrder) {
  ASSERT_OK(theirs_->Send(BytesOf("pagelift")));
  ASSERT_OK_AND_ASSIGN(Received first,
                       ours_->ReceiveWithFds(absl::MakeSpan(room_)));
  EXPECT_EQ(TextOf(room_, first.bytes), "page");
  EXPECT_TRUE(first.fds.empty());
  EXPECT_FALSE(first.sender.has_value());
  ASSERT_OK_AND_ASSIGN(Received second,
                       ours_->ReceiveWithFds(absl::MakeSpan(room_)));
  EXPECT_EQ(TextOf(room_, second.bytes), "lift");
}

TEST_F(FdChannelTest, DescriptorArrivesWithItsByteAndClosesOnExec) {
  UniqueFd file(memfd_create("sent", MFD_CLOEXEC));
  ASSERT_OK(theirs_->Send(BytesOf("1234")));
  ASSERT_OK(theirs_->SendWithFd(BytesOf(std::string(1, '\0')), file.get()));
  ASSERT_OK_AND_ASSIGN(Received word,
                       ours_->ReceiveWithFds(absl::MakeSpan(room_)));
  EXPECT_TRUE(word.fds.empty());
  ASSERT_OK_AND_ASSIGN(Received received,
                       ours_->ReceiveWithFds(absl::MakeSpan(room_)));
  EXPECT_EQ(received.bytes, 1u);
  ASSERT_EQ(received.fds.size(), 1u);
  EXPECT_TRUE(IsSameFile(received.fds[0].get(), file.get()));
  EXPECT_EQ(fcntl(received.fds[0].get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(FdChannelTest, DescriptorsThatNobodyTakesAreClosed) {
  const int free = LowestFreeDescriptor();
  ASSERT_OK(theirs_->SendWithFd(BytesOf("fd"), 0));
  ours_->ReceiveWithFds(absl::MakeSpan(room_)).IgnoreError();
  EXPECT_EQ(LowestFreeDescriptor(), free);
}

TEST_F(FdChannelTest, DescriptorsThatDoNotFitAreAnError) {
  const int free = LowestFreeDescriptor();
  // Two in one message, with room for one.
  ASSERT_EQ(SendWithFds(theirs_->fd(), BytesOf("x"), {0, 0}, 0), 1);

  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit one_free = {static_cast<rlim_t>(free) + 1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &one_free), 0);
  auto received = ours_->ReceiveWithFds(absl::MakeSpan(room_));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(received, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(LowestFreeDescriptor(), free);
}

TEST_F(FdChannelTest, TheEndIsNoBytes) {
  theirs_.reset();
  ASSERT_OK_AND_ASSIGN(Received received,
                       ours_->ReceiveWithFds(absl::MakeSpan(room_)));
  EXPECT_EQ(received.bytes, 0u);
}

TEST_F(FdChannelTest, SendingToNobodyIsAStatusAndNoSignal) {
  theirs_.reset();
  EXPECT_THAT(ours_->Send(BytesOf("x")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("Broken pipe")));
}

TEST_F(FdChannelTest, NothingToReceive) {
  EXPECT_THAT(ours_->ReceiveWithFds(absl::MakeSpan(room_), Wait::kDontWait),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(FdChannelTest, EachMessageTellsTheProcessThatSentIt) {
  ASSERT_OK(ours_->SetPassCredentials());
  const pid_t child = fork();
  if (child == 0) _exit(theirs_->Send(BytesOf("page")).ok() ? 0 : 1);
  ASSERT_OK_AND_ASSIGN(Received received,
                       ours_->ReceiveWithFds(absl::MakeSpan(room_)));
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(received.sender.has_value());
  EXPECT_EQ(received.sender->pid, child);
  EXPECT_EQ(received.sender->uid, geteuid());
}

TEST_F(FdChannelTest, LongMessagesAreSentWhole) {
  const std::string text(1 << 20, 'x');
  std::thread sender([&] { ASSERT_OK(theirs_->SendWithFd(BytesOf(text), 0)); });
  std::vector<std::byte> room(text.size());
  size_t filled = 0;
  size_t fds = 0;
  while (filled < room.size()) {
    ASSERT_OK_AND_ASSIGN(
        Received part,
        ours_->ReceiveWithFds(absl::MakeSpan(room).subspan(filled)));
    ASSERT_GT(part.bytes, 0u);
    filled += part.bytes;
    fds += part.fds.size();
  }
  sender.join();
  EXPECT_EQ(TextOf(room, filled), text);
  EXPECT_EQ(fds, 1u);
}

}  // namespace
}  // namespace pagelift
