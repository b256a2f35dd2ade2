#ifndef PAGELIFT_LIB_SOURCE_TESTING_GATED_STORE_H_
#define PAGELIFT_LIB_SOURCE_TESTING_GATED_STORE_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "lib/source/page_store.h"

namespace pagelift {

// A store whose pages are read one by one, when the test lets them.
//
// Thread-safe.
class GatedStore : public PageStore {
 public:
  explicit GatedStore(std::shared_ptr<const PageStore> store)
      : store_(std::move(store)) {}
  const ImageDescription& description() const override {
    return store_->description();
  }
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const override {
    absl::MutexLock lock(&mu_);
    ++reads_;
    auto let = [this]()
                   ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return allowed_ > 0; };
    mu_.Await(absl::Condition(&let));
    --allowed_;
    return store_->Read({range.first, PageCount(1)}, buffer);
  }
  void WillNeed(ImageRange range) const override {
    absl::MutexLock lock(&mu_);
    announced_.push_back(range);
  }
  PagesCheck Check(ImageRange range) const override {
    return store_->Check(range);
  }
  void Allow(int reads) {
    absl::MutexLock lock(&mu_);
    allowed_ += reads;
  }
  // What it was told that will be needed.
  std::vector<ImageRange> announced() const {
    absl::MutexLock lock(&mu_);
    return announced_;
  }
  void WaitForReads(int reads) {
    auto came = [this, reads]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return reads_ >= reads;
    };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&came));
  }

 private:
  const std::shared_ptr<const PageStore> store_;
  mutable absl::Mutex mu_;
  mutable int allowed_ ABSL_GUARDED_BY(mu_) = 0;
  mutable int reads_ ABSL_GUARDED_BY(mu_) = 0;
  mutable std::vector<ImageRange> announced_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_TESTING_GATED_STORE_H_
