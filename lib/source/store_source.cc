#include "lib/source/store_source.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/fault_guard.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

enum class PageKind { kData, kZero, kUnreadable };

// REQUIRES: `page` is page-aligned and kPageSize long.
bool IsAllZero(const std::byte* page) {
  for (size_t offset = 0; offset < kPageSize; offset += 64) {
    uint64_t words[8];
    std::memcpy(words, page + offset, sizeof(words));
    if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] |
         words[6] | words[7]) != 0) {
      return false;
    }
  }
  return true;
}

PageKind KindOf(const std::byte* page) {
  bool zero = false;
  bool readable = RunGuarded([page, &zero] { zero = IsAllZero(page); });
  if (!readable) return PageKind::kUnreadable;
  return zero ? PageKind::kZero : PageKind::kData;
}

}  // namespace

StoreSource::StoreSource(std::shared_ptr<const PageStore> store)
    : store_(std::move(store)) {}

const ImageDescription& StoreSource::description() const {
  return store_->description();
}

void StoreSource::Start(PageSink* sink) {
  absl::MutexLock lock(&mu_);
  CHECK(sink_ == nullptr) << "started twice";
  sink_ = sink;
}

void StoreSource::Fetch(ImageRange range, Urgency /*urgency*/) {
  PageSink* sink;
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    CHECK(sink_ != nullptr) << "Fetch before Start";
    sink = sink_;
    ++fetches_under_way_;
  }
  Deliver(range, sink);
  absl::MutexLock lock(&mu_);
  --fetches_under_way_;
}

void StoreSource::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  mu_.Await(absl::Condition(this, &StoreSource::Idle));
}

bool StoreSource::Idle() const { return fetches_under_way_ == 0; }

std::string StoreSource::trouble() const {
  uint64_t lost = lost_pages_;
  if (lost == 0) return "";
  return absl::StrCat(lost, " pages of the image could not be read");
}

void StoreSource::Deliver(ImageRange range, PageSink* sink) {
  ImageRange bad{range.first, PageCount(0)};
  absl::Status why;
  while (!range.empty() && !stopped_) {
    absl::StatusOr<StoredRun> run = store_->Read(range);
    if (!bad.empty() && run.status().code() != why.code()) {
      Report(bad, why, sink);
      bad.count = PageCount(0);
    }
    // Of a failed read, only the first page is known to be bad.
    PageCount count = run.ok() ? run->count : PageCount(1);
    if (run.ok()) {
      DeliverRun({range.first, count}, *run, sink);
    } else if (bad.empty()) {
      bad = {range.first, count};
      why = run.status();
    } else {
      bad.count = bad.count + count;
    }
    range = ImageRange::Between(range.first + count, range.limit());
  }
  if (!bad.empty() && !stopped_) Report(bad, why, sink);
}

void StoreSource::DeliverRun(ImageRange range, const StoredRun& run,
                             PageSink* sink) {
  const std::byte* bytes = run.bytes.data();
  uint64_t first = 0;
  PageKind kind = KindOf(bytes);
  while (first < range.count.raw() && !stopped_) {
    uint64_t limit = first + 1;
    PageKind next = kind;
    while (limit < range.count.raw()) {
      next = KindOf(bytes + PageCount(limit).bytes());
      if (next != kind) break;
      ++limit;
    }
    PageCount count(limit - first);
    ImageRange part{range.first + PageCount(first), count};
    if (kind == PageKind::kUnreadable) {
      Report(part,
             absl::DataLossError("the image's file was truncated, or its disk "
                                 "fails: copy the checkpoint again"),
             sink);
    } else {
      absl::Span<const std::byte> piece =
          run.bytes.subspan(PageCount(first).bytes(), count.bytes());
      PageBatch batch;
      batch.range = part;
      batch.zero = kind == PageKind::kZero;
      if (!batch.zero) batch.pieces = absl::MakeConstSpan(&piece, 1);
      sink->OnPages(batch);
    }
    first = limit;
    kind = next;
  }
}

void StoreSource::Report(ImageRange range, const absl::Status& status,
                         PageSink* sink) {
  lost_pages_ += range.count.raw();
  sink->OnUnavailable(range, status);
}

}  // namespace pagelift
