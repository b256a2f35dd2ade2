#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_SESSION_TEST_BASE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_SESSION_TEST_BASE_H_

#include <cstdint>
#include <memory>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/other_threads.h"
#include "daemon/pager/session/testing/restored_target.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/image_description.h"
#include "lib/source/testing/fake_page_source.h"
#include "lib/uffd/testing/faulting_thread.h"

namespace pagelift {

// A session that waits for a restore, with a source that does what the test
// says and a target that nobody has restored yet.
class SessionTestBase : public ::testing::Test {
 protected:
  static constexpr PageCount kPages{64};

  explicit SessionTestBase(PageCount pages = kPages) : target_(pages) {}

  void SetUp() override;
  // What the session's source says it has.
  virtual ImageDescription Image() const;
  // Before the session is opened.
  virtual void Configure(Session::Options& /*options*/,
                         FakePageSource& /*source*/) {}
  void TearDown() override;

  bool WaitUntilEnded() const;
  SessionState State() const { return session_->Snapshot().state; }
  TargetThread& thread(int index = 0) { return target_.thread(index); }
  // Polls until all are asleep whenever one looks; false if one keeps running.
  static bool FallAsleep(const OtherThreads& threads);

  void ExpectImagePage(uint64_t page, uint64_t image_page);
  void ExpectImagePage(uint64_t page, uint64_t image_page,
                       TargetThread& reader);
  void ExpectImagePageAt(PageId page, uint64_t image_page);
  void ExpectImagePageAt(PageId page, uint64_t image_page,
                         TargetThread& reader);
  void ExpectZero(uint64_t page);
  void ExpectZero(uint64_t page, TargetThread& reader);
  void ExpectZeroAt(PageId page);

  RestoredTarget target_;  // First: forked before there are threads.
  TempDir dir_;
  FakePageSource* source_ = nullptr;  // The session's.
  std::unique_ptr<Session> session_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_SESSION_TEST_BASE_H_
