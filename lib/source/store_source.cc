#include "lib/source/store_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/source/found_pages.h"

namespace pagelift {
namespace {

// Read at once, and installed while it is still in the processor's cache.
constexpr PageCount kBufferPages(64);

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

void StoreSource::Fetch(ImageRange range, Urgency urgency) {
  PageSink* sink;
  Buffer buffer;
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    CHECK(sink_ != nullptr) << "Fetch before Start";
    sink = sink_;
    ++fetches_under_way_;
    if (!spare_.empty()) {
      buffer = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  // Not zeroed: what is not read into it is never touched.
  if (buffer == nullptr) buffer.reset(new std::byte[kBufferPages.bytes()]);
  Deliver(range, urgency, {buffer.get(), kBufferPages.bytes()}, sink);
  absl::MutexLock lock(&mu_);
  spare_.push_back(std::move(buffer));
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

void StoreSource::Deliver(ImageRange range, Urgency urgency,
                          absl::Span<std::byte> buffer, PageSink* sink) {
  ImageRange bad{range.first, PageCount(0)};
  absl::Status why;
  while (!range.empty() && !stopped_) {
    const FoundPages found = FindFirstPages(*store_, range, buffer);
    if (!bad.empty() && found.lost.code() != why.code()) {
      Report(bad, why, sink);
      bad.count = PageCount(0);
    }
    if (found.lost.ok()) {
      PageBatch batch;
      batch.range = {range.first, found.count};
      batch.urgency = urgency;
      batch.zero = found.zero;
      if (!found.zero) batch.pieces = absl::MakeConstSpan(&found.bytes, 1);
      sink->OnPages(batch);
    } else if (bad.empty()) {
      bad = {range.first, found.count};
      why = found.lost;
    } else {
      bad.count = bad.count + found.count;
    }
    range = ImageRange::Between(range.first + found.count, range.limit());
  }
  if (!bad.empty() && !stopped_) Report(bad, why, sink);
}

void StoreSource::Report(ImageRange range, const absl::Status& status,
                         PageSink* sink) {
  lost_pages_ += range.count.raw();
  sink->OnUnavailable(range, status);
}

}  // namespace pagelift
