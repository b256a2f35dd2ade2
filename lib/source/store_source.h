#ifndef PAGELIFT_LIB_SOURCE_STORE_SOURCE_H_
#define PAGELIFT_LIB_SOURCE_STORE_SOURCE_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "lib/source/page_source.h"
#include "lib/source/page_store.h"

namespace pagelift {

// A page store on this machine as a page source. Everything is delivered from
// within Fetch(), on the caller's thread, in image order and in long runs
// that are all zero or all not; pages the store lost are reported as kDataLoss.
//
// Thread-safe. Stop() waits for deliveries under way on other threads, so it is
// not to be called from within a delivery.
class StoreSource : public PageSource {
 public:
  explicit StoreSource(std::shared_ptr<const PageStore> store);

  const ImageDescription& description() const override;
  void Start(PageSink* sink) override;
  void Fetch(ImageRange range, Urgency urgency) override;
  void Stop() override;
  uint64_t bytes_received() const override { return 0; }
  // Says how many pages could not be read, if any.
  std::string trouble() const override;

 private:
  using Buffer = std::unique_ptr<std::byte[]>;

  void Deliver(ImageRange range, Urgency urgency, absl::Span<std::byte> buffer,
               PageSink* sink);
  void Report(ImageRange range, const absl::Status& status, PageSink* sink);
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<const PageStore> store_;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> lost_pages_{0};

  mutable absl::Mutex mu_;
  PageSink* sink_ ABSL_GUARDED_BY(mu_) = nullptr;
  int fetches_under_way_ ABSL_GUARDED_BY(mu_) = 0;
  // As many as there ever were fetches at once: one can be within another.
  std::vector<Buffer> spare_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_STORE_SOURCE_H_
