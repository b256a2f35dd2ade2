#include "lib/source/page_digests.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/xxh3.h"

namespace pagelift {
namespace {

// Asked for at once, and so many of them at a time: enough for any link.
constexpr uint64_t kPagesPerRequest = 256;
constexpr uint64_t kMostOutstanding = 64 * kPagesPerRequest;
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(200);

class Digester : public PageSink {
 public:
  explicit Digester(PageSource& source) : source_(source) {
    digests_.pages.resize(source.description().page_count.raw());
  }

  void OnPages(const PageBatch& batch) override {
    const std::vector<uint64_t> pages = Digest(batch);
    absl::MutexLock lock(&mu_);
    std::copy(pages.begin(), pages.end(),
              digests_.pages.begin() +
                  static_cast<ptrdiff_t>(batch.range.first.raw()));
    if (batch.zero) digests_.zero = digests_.zero + batch.range.count;
    Done(batch.range.count);
  }

  void OnUnavailable(ImageRange range, const absl::Status& status) override {
    absl::MutexLock lock(&mu_);
    if (!absl::IsDataLoss(status)) {
      again_.push_back(range);
      return;
    }
    for (uint64_t i = 0; i < range.count.raw(); ++i) {
      digests_.lost.push_back(range.first + PageCount(i));
    }
    digests_.why_lost = std::string(status.message());
    Done(range.count);
  }

  // Asks for what there is room for; true when all is done.
  bool AskForMore() {
    std::vector<ImageRange> ranges;
    {
      absl::MutexLock lock(&mu_);
      ranges.swap(again_);
      while (next_ < digests_.pages.size() &&
             next_ - done_.raw() < kMostOutstanding) {
        const uint64_t count =
            std::min<uint64_t>(kPagesPerRequest, digests_.pages.size() - next_);
        ranges.push_back({ImagePage(next_), PageCount(count)});
        next_ += count;
      }
    }
    if (!ranges.empty()) source_.FetchAll(ranges, Urgency::kPrefetch);
    absl::MutexLock lock(&mu_);
    return done_.raw() == digests_.pages.size();
  }

  // Until something was done, or for a while.
  PageCount AwaitProgress() {
    absl::MutexLock lock(&mu_);
    const PageCount before = done_;
    auto moved = [this, before]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return done_.raw() - before.raw() >= kMostOutstanding / 2 ||
             done_.raw() == digests_.pages.size();
    };
    mu_.AwaitWithTimeout(absl::Condition(&moved), kBetweenLooks);
    return done_;
  }

  PageDigests Take() {
    absl::MutexLock lock(&mu_);
    std::sort(digests_.lost.begin(), digests_.lost.end());
    return std::move(digests_);
  }

 private:
  static std::vector<uint64_t> Digest(const PageBatch& batch) {
    std::vector<uint64_t> digests;
    if (batch.zero) {
      const std::vector<std::byte> page(kPageSize);
      digests.assign(batch.range.count.raw(), Xxh3::Of(page));
      return digests;
    }
    Xxh3 hash;
    size_t in_page = 0;
    for (ByteSpan piece : batch.pieces) {
      while (!piece.empty()) {
        const size_t here = std::min(piece.size(), kPageSize - in_page);
        hash.Add(piece.subspan(0, here));
        piece.remove_prefix(here);
        in_page += here;
        if (in_page < kPageSize) continue;
        digests.push_back(hash.Get());
        hash = Xxh3();
        in_page = 0;
      }
    }
    return digests;
  }
  void Done(PageCount pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    done_ = done_ + pages;
  }

  PageSource& source_;
  absl::Mutex mu_;
  PageDigests digests_ ABSL_GUARDED_BY(mu_);
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  PageCount done_ ABSL_GUARDED_BY(mu_);
  std::vector<ImageRange> again_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::string PageDigests::OfAll() const {
  Xxh3 hash;
  for (uint64_t page : pages) hash.Add(page);
  return absl::StrFormat("%016x", hash.Get());
}

absl::StatusOr<PageDigests> DigestPages(
    PageSource& source,
    absl::FunctionRef<void(PageCount done, const std::string& trouble)>
        progress) {
  Digester digester(source);
  source.Start(&digester);
  absl::Time told = absl::Now();
  while (!digester.AskForMore()) {
    const PageCount done = digester.AwaitProgress();
    if (source.is_gone()) {
      source.Stop();
      return absl::UnavailableError(source.trouble());
    }
    if (absl::Now() - told < kBetweenLooks) continue;
    told = absl::Now();
    progress(done, source.trouble());
  }
  source.Stop();
  return digester.Take();
}

}  // namespace pagelift
