#include "daemon/pager/session/testing/session_test_base.h"

#include <utility>

#include "lib/base/testing/instrumented.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/prefetch/bulk_window.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

// How often in a row all threads must be found asleep.
constexpr int kLooks = 50;

}  // namespace

void SessionTestBase::SetUp() {
  auto source = std::make_unique<FakePageSource>(Image());
  source_ = source.get();
  Session::Options options;
  options.work_dir = dir_.path();
  options.check_invariants = true;
  // What is held back does not keep the rest from being asked for.
  options.first_window = BulkWindow::kMost;
  if (kInstrumented) options.patience = kSoon;
  Configure(options, *source);
  ASSERT_OK_AND_ASSIGN(session_,
                       Session::Open(std::move(options), std::move(source)));
}

ImageDescription SessionTestBase::Image() const {
  return OneTaskImage(RestoredTarget::kImagePid, target_.region());
}

void SessionTestBase::TearDown() {
  target_.Kill();
  // A session nobody came to may simply go.
  if (session_ != nullptr && !session_->Cancel().ok()) {
    ASSERT_TRUE(WaitUntilEnded()) << "a session outlives its target";
  }
}

bool SessionTestBase::WaitUntilEnded() const {
  return Eventually([this] { return session_->has_ended(); });
}

bool SessionTestBase::FallAsleep(const OtherThreads& threads) {
  int looks = 0;
  return Eventually([&] {
    looks = threads.AreAsleep() ? looks + 1 : 0;
    return looks == kLooks;
  });
}

void SessionTestBase::ExpectImagePage(uint64_t page, uint64_t image_page) {
  ExpectImagePage(page, image_page, thread());
}

void SessionTestBase::ExpectImagePage(uint64_t page, uint64_t image_page,
                                      TargetThread& reader) {
  ExpectImagePageAt(target_.page(page), image_page, reader);
}

void SessionTestBase::ExpectImagePageAt(PageId page, uint64_t image_page) {
  ExpectImagePageAt(page, image_page, thread());
}

void SessionTestBase::ExpectImagePageAt(PageId page, uint64_t image_page,
                                        TargetThread& reader) {
  const TargetReply reply = reader.Read(page);
  EXPECT_EQ(reply.signal, 0);
  EXPECT_TRUE(HoldsPattern(reply.page.data(), ImagePage(image_page)))
      << page << " is not image page " << image_page;
}

void SessionTestBase::ExpectZero(uint64_t page) { ExpectZero(page, thread()); }

void SessionTestBase::ExpectZero(uint64_t page, TargetThread& reader) {
  const TargetReply reply = reader.Read(target_.page(page));
  EXPECT_EQ(reply.signal, 0);
  EXPECT_EQ(reply.page, PageBytes()) << "page " << page << " is not zero";
}

void SessionTestBase::ExpectZeroAt(PageId page) {
  const TargetReply reply = thread().Read(page);
  EXPECT_EQ(reply.signal, 0);
  EXPECT_EQ(reply.page, PageBytes()) << page << " is not zero";
}

}  // namespace pagelift
