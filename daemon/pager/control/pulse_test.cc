#include "daemon/pager/control/pulse.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "daemon/pager/control/session_registry.h"
#include "gtest/gtest.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/ready_watcher.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_source.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

constexpr absl::Duration kPatience = absl::Milliseconds(40);

// Through which its session's event thread can be had.
class LoopSource : public FakePageSource {
 public:
  explicit LoopSource(std::atomic<ReadyWatcher*>* loop)
      : FakePageSource(OneTaskImage(23, {PageId(1 << 20), PageCount(8)})),
        loop_(loop) {}
  void DeliverOn(ReadyWatcher* watcher) override { *loop_ = watcher; }

 private:
  std::atomic<ReadyWatcher*>* const loop_;
};

class PulseTest : public ::testing::Test {
 protected:
  void Open() {
    v1::OpenSessionRequest request;
    request.set_source("fake:image");
    request.set_work_dir(dir_.path());
    ASSERT_OK(registry_.Open(request));
  }
  absl::StatusOr<std::unique_ptr<Pulse>> Start() {
    Pulse::Options options;
    options.last_moved = [this] { return registry_.LastMoved(); };
    options.summary = [] { return ""; };
    options.patience = kPatience;
    return Pulse::Start(std::move(options), *page_);
  }
  absl::Duration SinceItMoved() const {
    return MonotonicNow() - absl::Nanoseconds(page_->moved_ns.load());
  }
  bool NeedNotMove() const { return page_->moved_ns == 0; }
  // Several times in a row: it goes on doing so.
  bool Moves() const {
    for (int i = 0; i < 3; ++i) {
      const int64_t before = page_->moved_ns;
      if (!Eventually([&] { return before < page_->moved_ns; })) return false;
    }
    return true;
  }
  void Stop() {
    registry_.RefuseNew();
    registry_.WaitUntilIdle();
  }

  TempDir dir_;
  const std::unique_ptr<HolderPage> page_ = std::make_unique<HolderPage>();
  std::atomic<ReadyWatcher*> loop_{nullptr};
  SessionRegistry registry_{[this](const std::string&)
                                -> absl::StatusOr<std::unique_ptr<PageSource>> {
    return std::make_unique<LoopSource>(&loop_);
  }};
};

// One that stood still just as it got something to do would not be seen.
TEST_F(PulseTest, WhoHasNothingToDoMovesToo) {
  ASSERT_OK_AND_ASSIGN(auto pulse, Start());
  EXPECT_TRUE(Moves());
  Open();
  EXPECT_TRUE(Moves());
  Stop();
  EXPECT_TRUE(Moves());
}

TEST_F(PulseTest, AnEventThreadThatStandsStillIsSeen) {
  Open();
  ASSERT_OK_AND_ASSIGN(auto pulse, Start());
  EXPECT_TRUE(Moves());
  absl::Notification go_on;
  loop_.load()->Post([&go_on] { go_on.WaitForNotification(); });
  EXPECT_TRUE(Eventually([this] { return SinceItMoved() > 5 * kPatience; }));
  go_on.Notify();
  EXPECT_TRUE(Moves());
  Stop();
}

TEST_F(PulseTest, WhoEndsInPeaceNeedNotMove) {
  Open();
  ASSERT_OK_AND_ASSIGN(auto pulse, Start());
  EXPECT_TRUE(Moves());
  pulse.reset();
  EXPECT_TRUE(NeedNotMove());
  Stop();
}

}  // namespace
}  // namespace pagelift
