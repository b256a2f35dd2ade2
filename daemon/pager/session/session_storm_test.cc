// Many threads of a target change and check their memory as fast as they can,
// while several threads of the source deliver in any order.

#include <sys/types.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

constexpr uint64_t kPagesOfEach = 160;

class SessionStormTest : public SessionTestBase {
 protected:
  SessionStormTest()
      : SessionTestBase(PageCount(RestoredTarget::kThreads * kPagesOfEach)) {}

  void StartStorms(int32_t seed) {
    for (int i = 0; i < RestoredTarget::kThreads; ++i) {
      const uint64_t first = static_cast<uint64_t>(i) * kPagesOfEach;
      TargetCommand storm;
      storm.op = TargetCommand::Op::kStorm;
      storm.range = target_.pages(first, kPagesOfEach);
      storm.to = target_.spare(first);
      storm.to_count = PageCount(first);
      storm.value = seed + i;
      thread(i).Start(storm);
    }
  }
  void ExpectNothingWrong() {
    for (int i = 0; i < RestoredTarget::kThreads; ++i) {
      const TargetReply reply = thread(i).Finish();
      EXPECT_EQ(reply.result, 0)
          << "thread " << i << ": "
          << reinterpret_cast<const char*>(reply.page.data());
    }
  }
};

TEST_F(SessionStormTest, EveryByteIsRightWhateverTheOrder) {
  source_->HoldReplies();
  source_->LimitBatches(PageCount(7));
  source_->CutPiecesAt(3000);
  target_.Restore(dir_.path());
  StartStorms(1);
  std::atomic<bool> stop{false};
  std::vector<std::thread> deliverers;
  for (int i = 0; i < 3; ++i) {
    deliverers.emplace_back([this, i, &stop] {
      while (!stop) {
        const bool delivered =
            i == 0 ? source_->ReleaseOldest() : source_->ReleaseNewest();
        if (!delivered) std::this_thread::yield();
      }
    });
  }
  ExpectNothingWrong();
  EXPECT_TRUE(WaitUntilEnded());
  stop = true;
  for (std::thread& deliverer : deliverers) deliverer.join();
  EXPECT_EQ(State(), SessionState::kComplete);
}

TEST_F(SessionStormTest, EveryByteIsRightWithASourceThatAnswersAtOnce) {
  target_.Connect(dir_.path());
  target_.HandOver();
  // Restore has not finished: nothing is prefetched, every page is a fault.
  StartStorms(100);
  ExpectNothingWrong();
  target_.Finish();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionStormTest, EveryByteIsRightWithASourceThatFailsNowAndThen) {
  target_.Restore(dir_.path());
  StartStorms(200);
  std::atomic<bool> stop{false};
  std::thread weather([this, &stop] {
    while (!stop) {
      source_->FailFrom(ImagePage(100), absl::UnavailableError("rain"));
      std::this_thread::yield();
      source_->FailFrom(ImagePage(100), absl::OkStatus());
      std::this_thread::yield();
    }
  });
  ExpectNothingWrong();
  EXPECT_TRUE(WaitUntilEnded());
  stop = true;
  weather.join();
}

}  // namespace
}  // namespace pagelift
