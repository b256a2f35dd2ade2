#ifndef PAGELIFT_LIB_SOURCE_TESTING_RECORDING_SINK_H_
#define PAGELIFT_LIB_SOURCE_TESTING_RECORDING_SINK_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "lib/source/page_source.h"

namespace pagelift {

// Keeps a copy of everything that is delivered, in order of arrival.
//
// Thread-safe.
class RecordingSink : public PageSink {
 public:
  struct Delivery {
    ImageRange range;
    bool zero = false;
    std::vector<std::byte> bytes;  // Empty for zero pages and failures.
    absl::Status status;
  };

  void OnPages(const PageBatch& batch) override;
  void OnUnavailable(ImageRange range, const absl::Status& status) override;

  std::vector<Delivery> deliveries() const;
  // Pages answered so far, one way or the other.
  PageCount answered() const;

 private:
  mutable absl::Mutex mu_;
  std::vector<Delivery> deliveries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_TESTING_RECORDING_SINK_H_
