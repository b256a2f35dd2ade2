#include "lib/http2/output_queue.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

class OutputQueueTest : public ::testing::Test {
 protected:
  OutputQueueTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    here_.reset(fds[0]);
    there_.reset(fds[1]);
  }

  std::string ReadToEnd() {
    std::string all;
    char bytes[4096];
    ssize_t n;
    while ((n = read(there_.get(), bytes, sizeof(bytes))) > 0) {
      all.append(bytes, static_cast<size_t>(n));
    }
    return all;
  }

  UniqueFd here_;
  UniqueFd there_;
  OutputQueue queue_;
};

TEST_F(OutputQueueTest, SendsInOrder) {
  const std::string long_one(100000, 'b');
  std::string short_one = "a";
  queue_.AppendCopy(BytesOf(short_one));
  queue_.AppendCopy(BytesOf("a"));
  short_one = "#";
  queue_.AppendBorrowed(BytesOf(long_one));
  queue_.AppendCopy(BytesOf("c"));
  EXPECT_EQ(queue_.size_bytes(), 100003u);
  std::thread sender([this] {
    EXPECT_THAT(queue_.SendTo(here_.get(), 0), IsOkAndHolds(true));
    here_.reset();
  });
  EXPECT_EQ(ReadToEnd(), "aa" + long_one + "c");
  sender.join();
  EXPECT_TRUE(queue_.empty());
}

TEST_F(OutputQueueTest, GoesOnWhereTheSocketWasFull) {
  const std::string long_one(3 << 20, 'b');
  queue_.AppendCopy(BytesOf("a"));
  queue_.AppendBorrowed(BytesOf(long_one));
  ASSERT_THAT(queue_.SendTo(here_.get(), MSG_DONTWAIT), IsOkAndHolds(false));
  EXPECT_FALSE(queue_.empty());
  // What is added meanwhile comes after it.
  queue_.AppendCopy(BytesOf("c"));
  std::thread sender([this] {
    EXPECT_THAT(queue_.SendTo(here_.get(), 0), IsOkAndHolds(true));
    here_.reset();
  });
  EXPECT_EQ(ReadToEnd(), "a" + long_one + "c");
  sender.join();
}

TEST_F(OutputQueueTest, ManyPiecesTakeSeveralCalls) {
  std::string expected;
  const std::string borrowed = "xyz";
  for (int i = 0; i < 1000; ++i) {
    queue_.AppendCopy(BytesOf(std::to_string(i)));
    queue_.AppendBorrowed(BytesOf(borrowed));
    expected += std::to_string(i) + borrowed;
  }
  EXPECT_THAT(queue_.SendTo(here_.get(), 0), IsOkAndHolds(true));
  here_.reset();
  EXPECT_EQ(ReadToEnd(), expected);
}

TEST_F(OutputQueueTest, AFarEndThatLeftIsAnErrorAndNoSignal) {
  there_.reset();
  queue_.AppendCopy(BytesOf("a"));
  EXPECT_EQ(queue_.SendTo(here_.get(), 0).status().message(),
            "send: Broken pipe");
}

TEST_F(OutputQueueTest, BytesThatCannotBeReadAreAnError) {
  void* hole =
      mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(hole, MAP_FAILED);
  queue_.AppendBorrowed(ByteSpan(static_cast<std::byte*>(hole), 4096));
  EXPECT_EQ(queue_.SendTo(here_.get(), 0).status().message(),
            "send: Bad address");
  munmap(hole, 4096);
}

}  // namespace
}  // namespace pagelift
