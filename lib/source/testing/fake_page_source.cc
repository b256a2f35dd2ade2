#include "lib/source/testing/fake_page_source.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/types/span.h"
#include "lib/base/log.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {

FakePageSource::FakePageSource(ImageDescription description)
    : description_(std::move(description)), most_(description_.page_count) {}

void FakePageSource::HoldReplies() {
  absl::MutexLock lock(&mu_);
  holding_ = true;
}

bool FakePageSource::ReleaseOldest() {
  std::optional<Request> request = Take(/*newest=*/false);
  if (request) Answer(*request);
  return request.has_value();
}

bool FakePageSource::ReleaseNewest() {
  std::optional<Request> request = Take(/*newest=*/true);
  if (request) Answer(*request);
  return request.has_value();
}

void FakePageSource::ReleaseAll() {
  while (ReleaseOldest()) {
  }
}

void FakePageSource::ReleaseNewestFirst() {
  while (ReleaseNewest()) {
  }
}

void FakePageSource::StopHolding() {
  {
    absl::MutexLock lock(&mu_);
    holding_ = false;
  }
  ReleaseAll();
}

void FakePageSource::DropHeld() {
  absl::MutexLock lock(&mu_);
  held_.clear();
}

void FakePageSource::FailFrom(ImagePage first, absl::Status status) {
  absl::MutexLock lock(&mu_);
  failure_ = std::move(status);
  if (failure_.ok()) {
    fail_from_.reset();
  } else {
    fail_from_ = first;
  }
}

void FakePageSource::MakeZero(ImageRange range) {
  absl::MutexLock lock(&mu_);
  zero_.push_back(range);
}

void FakePageSource::LimitBatches(PageCount most) {
  CHECK(PageCount(0) < most);
  absl::MutexLock lock(&mu_);
  most_ = most;
}

void FakePageSource::CutPiecesAt(size_t bytes) {
  absl::MutexLock lock(&mu_);
  piece_bytes_ = bytes;
}

void FakePageSource::SetTrouble(std::string trouble) {
  absl::MutexLock lock(&mu_);
  trouble_ = std::move(trouble);
}

void FakePageSource::BeGone() {
  HoldReplies();
  DropHeld();
  absl::MutexLock lock(&mu_);
  gone_ = true;
}

std::vector<FakePageSource::Request> FakePageSource::requests() const {
  absl::MutexLock lock(&mu_);
  return requests_;
}

size_t FakePageSource::held() const {
  absl::MutexLock lock(&mu_);
  return held_.size();
}

bool FakePageSource::WaitForRequests(size_t count,
                                     absl::Duration timeout) const {
  absl::MutexLock lock(&mu_);
  auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return requests_.size() >= count;
  };
  return mu_.AwaitWithTimeout(absl::Condition(&enough), timeout);
}

ReadyWatcher* FakePageSource::watcher() const {
  absl::MutexLock lock(&mu_);
  return watcher_;
}

void FakePageSource::DeliverOn(ReadyWatcher* watcher) {
  absl::MutexLock lock(&mu_);
  watcher_ = watcher;
}

void FakePageSource::Start(PageSink* sink) {
  absl::MutexLock lock(&mu_);
  CHECK(sink_ == nullptr) << "started twice";
  sink_ = sink;
}

void FakePageSource::Fetch(ImageRange range, Urgency urgency) {
  CHECK(!range.empty() &&
        range.limit() <= ImagePage(description_.page_count.raw()))
      << "Fetch " << range;
  Request request{range, urgency};
  {
    absl::MutexLock lock(&mu_);
    CHECK(sink_ != nullptr) << "Fetch before Start";
    if (stopped_) return;
    requests_.push_back(request);
    if (holding_) {
      held_.push_back(request);
      return;
    }
  }
  Answer(request);
}

void FakePageSource::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  held_.clear();
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return answers_under_way_ == 0;
  };
  mu_.Await(absl::Condition(&idle));
}

uint64_t FakePageSource::bytes_received() const {
  absl::MutexLock lock(&mu_);
  return bytes_received_;
}

std::string FakePageSource::trouble() const {
  absl::MutexLock lock(&mu_);
  return trouble_;
}

void FakePageSource::PromiseIn(absl::Duration wait) {
  absl::MutexLock lock(&mu_);
  promise_ = wait;
}

absl::Duration FakePageSource::ArrivesIn(ImagePage page) const {
  absl::MutexLock lock(&mu_);
  for (const Request& request : held_) {
    if (request.urgency == Urgency::kPrefetch && request.range.Contains(page)) {
      return promise_;
    }
  }
  return absl::InfiniteDuration();
}

bool FakePageSource::is_gone() const {
  absl::MutexLock lock(&mu_);
  return gone_;
}

void FakePageSource::KnowWorkingSet(Recording recording) {
  absl::MutexLock lock(&mu_);
  known_ = std::move(recording);
}

std::vector<Recording> FakePageSource::kept() const {
  absl::MutexLock lock(&mu_);
  return kept_;
}

absl::StatusOr<Recording> FakePageSource::WorkingSet() const {
  absl::MutexLock lock(&mu_);
  if (known_.has_value()) return *known_;
  return absl::NotFoundError("nothing is known");
}

absl::Status FakePageSource::KeepRecording(const Recording& recording) {
  absl::MutexLock lock(&mu_);
  kept_.push_back(recording);
  return absl::OkStatus();
}

std::optional<FakePageSource::Request> FakePageSource::Take(bool newest) {
  absl::MutexLock lock(&mu_);
  if (held_.empty()) return std::nullopt;
  Request request = newest ? held_.back() : held_.front();
  if (newest) {
    held_.pop_back();
  } else {
    held_.pop_front();
  }
  return request;
}

void FakePageSource::Answer(const Request& request) {
  PageSink* sink;
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    sink = sink_;
    ++answers_under_way_;
  }
  ImageRange rest = request.range;
  while (!rest.empty()) {
    bool zero;
    absl::Status status;
    ImageRange part;
    size_t piece_bytes;
    {
      absl::MutexLock lock(&mu_);
      if (stopped_) break;
      part = NextPart(rest, &zero, &status);
      piece_bytes = piece_bytes_;
      if (status.ok() && !zero) bytes_received_ += part.count.bytes();
    }
    if (!status.ok()) {
      sink->OnUnavailable(part, status);
    } else if (zero) {
      PageBatch batch;
      batch.range = part;
      batch.urgency = request.urgency;
      batch.zero = true;
      sink->OnPages(batch);
    } else {
      DeliverPattern({part, request.urgency}, piece_bytes, sink);
    }
    rest = ImageRange::Between(part.limit(), rest.limit());
  }
  absl::MutexLock lock(&mu_);
  --answers_under_way_;
}

ImageRange FakePageSource::NextPart(ImageRange rest, bool* zero,
                                    absl::Status* status) const {
  ImageRange part{rest.first, std::min(rest.count, most_)};
  *zero = false;
  *status = absl::OkStatus();
  if (fail_from_ && *fail_from_ <= part.first) {
    *status = failure_;
    return part;
  }
  if (fail_from_ && *fail_from_ < part.limit()) {
    part.count = *fail_from_ - part.first;
  }
  for (const ImageRange& range : zero_) {
    if (range.Contains(part.first)) {
      *zero = true;
      return part.Intersect(range);
    }
    ImageRange common = range.Intersect(part);
    if (!common.empty()) part.count = common.first - part.first;
  }
  return part;
}

void FakePageSource::DeliverPattern(const Request& part, size_t piece_bytes,
                                    PageSink* sink) {
  const ImageRange range = part.range;
  std::vector<std::byte> bytes(range.count.bytes());
  for (uint64_t i = 0; i < range.count.raw(); ++i) {
    PageBytes pattern = PatternOf(range.first + PageCount(i));
    std::memcpy(bytes.data() + PageCount(i).bytes(), pattern.data(), kPageSize);
  }
  if (piece_bytes == 0) piece_bytes = bytes.size();
  std::vector<absl::Span<const std::byte>> pieces;
  for (size_t offset = 0; offset < bytes.size(); offset += piece_bytes) {
    pieces.push_back(absl::MakeConstSpan(bytes).subspan(offset, piece_bytes));
  }
  PageBatch batch;
  batch.range = range;
  batch.urgency = part.urgency;
  batch.pieces = pieces;
  sink->OnPages(batch);
}

}  // namespace pagelift
