#ifndef PAGELIFT_LIB_SOURCE_TESTING_FAKE_PAGE_SOURCE_H_
#define PAGELIFT_LIB_SOURCE_TESTING_FAKE_PAGE_SOURCE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/base/ready_watcher.h"
#include "lib/source/page_source.h"
#include "lib/workingset/recording.h"

namespace pagelift {

// A page source in which page p reads as PatternOf(p), and whose far end does
// what the test says. Without a knob it answers at once, from within Fetch().
//
// Thread-safe, but Release...() and Fetch() deliver on the thread that calls
// them. Not to be stopped from within a delivery.
class FakePageSource : public PageSource {
 public:
  struct Request {
    ImageRange range;
    Urgency urgency = Urgency::kDemand;
  };

  explicit FakePageSource(ImageDescription description);

  // --- Knobs ----------------------------------------------------------------

  // What is asked for from now on is kept until it is released.
  void HoldReplies();
  // Answers the oldest, or newest, held request; false if there is none.
  bool ReleaseOldest();
  bool ReleaseNewest();
  // Answers all that is held, and goes on holding what comes.
  void ReleaseAll();
  void ReleaseNewestFirst();
  // Answers all that is held, and from now on at once.
  void StopHolding();
  // Forgets what is held: a far end that lost the requests.
  void DropHeld();

  // Pages from `first` on are answered with `status`; OK makes them good again.
  void FailFrom(ImagePage first, absl::Status status);
  // These pages are delivered as zero batches.
  void MakeZero(ImageRange range);
  // No batch has more than `most` pages (default: as asked for).
  void LimitBatches(PageCount most);
  // Batches come in pieces of `bytes`, which need not divide a page.
  void CutPiecesAt(size_t bytes);
  void SetTrouble(std::string trouble);
  // What earlier restores touched.
  void KnowWorkingSet(Recording recording);
  // What ArrivesIn() says of pages that are prefetched and held.
  void PromiseIn(absl::Duration wait);
  // What is held and what comes is never answered.
  void BeGone();

  // --- What was asked -------------------------------------------------------

  std::vector<Request> requests() const;
  size_t held() const;
  // Waits until `count` requests have come in all; false after `timeout`.
  bool WaitForRequests(size_t count, absl::Duration timeout) const;

  // On which demands may be delivered: by a test, which posts their release.
  // Null if nobody said.
  ReadyWatcher* watcher() const;
  // The recordings that were to be kept, in order.
  std::vector<Recording> kept() const;

  // --- PageSource -----------------------------------------------------------

  const ImageDescription& description() const override { return description_; }
  void DeliverOn(ReadyWatcher* watcher) override;
  void Start(PageSink* sink) override;
  void Fetch(ImageRange range, Urgency urgency) override;
  absl::Duration ArrivesIn(ImagePage page) const override;
  void Stop() override;
  uint64_t bytes_received() const override;
  std::string trouble() const override;
  bool is_gone() const override;
  absl::StatusOr<Recording> WorkingSet() const override;
  absl::Status KeepRecording(const Recording& recording) override;

 private:
  std::optional<Request> Take(bool newest);
  void Answer(const Request& request);
  // The answer's next part: all pages of it fare alike.
  ImageRange NextPart(ImageRange rest, bool* zero, absl::Status* status) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DeliverPattern(const Request& part, size_t piece_bytes, PageSink* sink);

  const ImageDescription description_;

  mutable absl::Mutex mu_;
  ReadyWatcher* watcher_ ABSL_GUARDED_BY(mu_) = nullptr;
  PageSink* sink_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;
  int answers_under_way_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<Request> held_ ABSL_GUARDED_BY(mu_);
  std::vector<Request> requests_ ABSL_GUARDED_BY(mu_);
  std::optional<ImagePage> fail_from_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  std::vector<ImageRange> zero_ ABSL_GUARDED_BY(mu_);
  PageCount most_ ABSL_GUARDED_BY(mu_);
  size_t piece_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::string trouble_ ABSL_GUARDED_BY(mu_);
  bool gone_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration promise_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  std::optional<Recording> known_ ABSL_GUARDED_BY(mu_);
  std::vector<Recording> kept_ ABSL_GUARDED_BY(mu_);
  uint64_t bytes_received_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_TESTING_FAKE_PAGE_SOURCE_H_
