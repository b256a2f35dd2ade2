#include "daemon/pager/event_loop/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;

// Each test with a loop that sleeps at once, and with one that looks on.
class EventLoopTest : public ::testing::TestWithParam<absl::Duration> {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    loop_->SpinFor(GetParam());
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }

  std::unique_ptr<EventLoop> loop_;
  UniqueFd read_;
  UniqueFd write_;
};

TEST_P(EventLoopTest, CallsBackWhenAWatchedDescriptorIsReadable) {
  std::string got;
  ASSERT_OK(loop_->Watch(read_.get(), [&] {
    char c;
    while (read(read_.get(), &c, 1) == 1) got.push_back(c);
    loop_->Stop();
  }));
  ASSERT_EQ(write(write_.get(), "ab", 2), 2);
  EXPECT_OK(loop_->Run());
  EXPECT_EQ(got, "ab");
}

TEST_P(EventLoopTest, AHangUpIsReadableToo) {
  bool called = false;
  ASSERT_OK(loop_->Watch(read_.get(), [&] {
    called = true;
    loop_->Unwatch(read_.get());
    loop_->Stop();
  }));
  write_.reset();
  EXPECT_OK(loop_->Run());
  EXPECT_TRUE(called);
}

TEST_P(EventLoopTest, ACallbackMayUnwatchAnother) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  UniqueFd other_read(ends[0]);
  UniqueFd other_write(ends[1]);
  int calls = 0;
  auto once = [&] {
    ++calls;
    loop_->Unwatch(read_.get());
    loop_->Unwatch(other_read.get());
    loop_->Stop();
  };
  ASSERT_OK(loop_->Watch(read_.get(), once));
  ASSERT_OK(loop_->Watch(other_read.get(), once));
  ASSERT_EQ(write(write_.get(), "a", 1), 1);
  ASSERT_EQ(write(other_write.get(), "a", 1), 1);
  EXPECT_OK(loop_->Run());
  EXPECT_EQ(calls, 1);
}

TEST_P(EventLoopTest, WhatWasReportedOfAClosedDescriptorIsNotItsSuccessors) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  UniqueFd other_read(ends[0]);
  UniqueFd other_write(ends[1]);
  int successor_calls = 0;
  UniqueFd successor;
  // Both are reported in one round; whoever comes first gives the other's
  // number to a descriptor of which there is nothing to report.
  auto replace = [&](UniqueFd& closed) {
    if (successor.valid()) return;
    const int number = closed.get();
    loop_->Unwatch(read_.get());
    loop_->Unwatch(other_read.get());
    closed.reset();
    int quiet[2];
    ASSERT_EQ(pipe2(quiet, O_CLOEXEC | O_NONBLOCK), 0);
    UniqueFd quiet_write(quiet[1]);
    successor.reset(quiet[0]);
    if (successor.get() != number) {
      ASSERT_EQ(dup3(quiet[0], number, O_CLOEXEC), number);
      successor.reset(number);
    }
    // Kept open, or the successor hangs up.
    other_write = std::move(quiet_write);
    ASSERT_OK(loop_->Watch(number, [&] { ++successor_calls; }));
    loop_->RunAfter(absl::Milliseconds(1), [&] { loop_->Stop(); });
  };
  ASSERT_EQ(write(write_.get(), "a", 1), 1);
  ASSERT_EQ(write(other_write.get(), "a", 1), 1);
  ASSERT_OK(loop_->Watch(read_.get(), [&] { replace(other_read); }));
  ASSERT_OK(loop_->Watch(other_read.get(), [&] { replace(read_); }));
  EXPECT_OK(loop_->Run());
  EXPECT_EQ(successor_calls, 0);
}

TEST_P(EventLoopTest, TimersRunInTheOrderOfTheirTimes) {
  std::vector<int> order;
  loop_->RunAfter(absl::Milliseconds(20), [&] {
    order.push_back(2);
    loop_->Stop();
  });
  loop_->RunAfter(absl::Milliseconds(1), [&] { order.push_back(1); });
  EXPECT_OK(loop_->Run());
  EXPECT_THAT(order, ElementsAre(1, 2));
}

TEST_P(EventLoopTest, PostedWorkRunsOnTheLoopsThread) {
  std::thread::id loop_thread;
  std::thread poster([&] {
    loop_->Post([&] {
      loop_thread = std::this_thread::get_id();
      loop_->Stop();
    });
  });
  EXPECT_OK(loop_->Run());
  poster.join();
  EXPECT_EQ(loop_thread, std::this_thread::get_id());
}

TEST_P(EventLoopTest, StopBeforeRunEndsItAtOnce) {
  loop_->Stop();
  EXPECT_OK(loop_->Run());
}

TEST_P(EventLoopTest, TimersAndPostsComeWhileItLooksOn) {
  constexpr int kRounds = 100;
  int rounds = 0;
  std::function<void()> next = [&] {
    if (++rounds == kRounds) {
      loop_->Stop();
    } else {
      ASSERT_EQ(write(write_.get(), "a", 1), 1);
    }
  };
  ASSERT_OK(loop_->Watch(read_.get(), [&] {
    char c;
    ASSERT_EQ(read(read_.get(), &c, 1), 1);
    // Sooner than it has looked on for long enough, or later.
    loop_->RunAfter(absl::Microseconds(rounds % 2 == 0 ? 10 : 2000),
                    [&] { loop_->Post(next); });
  }));
  loop_->Post(next);
  EXPECT_OK(loop_->Run());
  EXPECT_EQ(rounds, kRounds);
}

INSTANTIATE_TEST_SUITE_P(Spins, EventLoopTest,
                         ::testing::Values(absl::ZeroDuration(),
                                           absl::Milliseconds(1)));

}  // namespace
}  // namespace pagelift
