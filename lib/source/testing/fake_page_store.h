#ifndef PAGELIFT_LIB_SOURCE_TESTING_FAKE_PAGE_STORE_H_
#define PAGELIFT_LIB_SOURCE_TESTING_FAKE_PAGE_STORE_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/source/page_store.h"

namespace pagelift {

// A page store in which page p reads as PatternOf(p), in a file, as the real
// ones are.
//
// Thread-safe.
class FakePageStore : public PageStore {
 public:
  explicit FakePageStore(ImageDescription description);
  ~FakePageStore() override;

  // Knobs. These pages read as zeros / as kDataLoss from now on.
  void MakeZero(ImageRange range);
  void Lose(ImageRange range);
  // These pages read as RepetitiveOf() them from now on: they can be
  // compressed.
  void MakeRepetitive(ImageRange range);
  // These pages read as zeros, and Check() says that they are lost.
  void PunchHole(ImageRange range);
  // How often it was asked.
  int checks() const;
  // No Read() returns more than `most` pages.
  void LimitRuns(PageCount most);
  // Cuts the file: the pages from `first` on cannot be read any more.
  void TruncateAt(ImagePage first);

  const ImageDescription& description() const override { return description_; }
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const override;
  PagesCheck Check(ImageRange range) const override;

 private:
  const ImageDescription description_;
  UniqueFd file_;
  std::byte* bytes_ = nullptr;

  mutable absl::Mutex mu_;
  std::vector<ImageRange> lost_ ABSL_GUARDED_BY(mu_);
  std::vector<ImageRange> holes_ ABSL_GUARDED_BY(mu_);
  mutable int checks_ ABSL_GUARDED_BY(mu_) = 0;
  PageCount most_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_TESTING_FAKE_PAGE_STORE_H_
