#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_WAITING_SINK_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_WAITING_SINK_H_

#include <cstddef>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "lib/source/page_source.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {

// Keeps the last answer to each page and lets a test wait for answers.
//
// Thread-safe.
class WaitingSink : public PageSink {
 public:
  struct Answer {
    absl::Status status;
    bool zero = false;
    PageBytes bytes = {};  // Unless it is zero or failed.
    int times = 0;         // How often this page was answered.
  };

  void OnPages(const PageBatch& batch) override;
  void OnUnavailable(ImageRange range, const absl::Status& status) override;

  // Until `pages` different pages are answered; false after a long while.
  bool WaitForPages(size_t pages) const;
  std::map<uint64_t, Answer> answers() const;
  // Calls of OnPages and OnUnavailable.
  size_t batches() const;

  // Makes the next deliveries wait inside the sink until Release().
  void Hold();
  bool WaitUntilHeld() const;
  void Release();

 private:
  void WaitWhileHolding() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::map<uint64_t, Answer> answers_ ABSL_GUARDED_BY(mu_);
  size_t batches_ ABSL_GUARDED_BY(mu_) = 0;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
};

// Expects that each page of `range` was answered once, with PatternOf() it.
void ExpectPattern(const WaitingSink& sink, ImageRange range);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_WAITING_SINK_H_
