#include "lib/transport/testing/waiting_sink.h"

#include <cstring>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

constexpr absl::Duration kLongWhile = absl::Seconds(60);

}  // namespace

void WaitingSink::OnPages(const PageBatch& batch) {
  std::vector<std::byte> bytes;
  for (const auto& piece : batch.pieces) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  absl::MutexLock lock(&mu_);
  WaitWhileHolding();
  ++batches_;
  for (uint64_t i = 0; i < batch.range.count.raw(); ++i) {
    Answer& answer = answers_[batch.range.first.raw() + i];
    answer.status = absl::OkStatus();
    answer.zero = batch.zero;
    ++answer.times;
    if (batch.zero || bytes.size() < (i + 1) * kPageSize) continue;
    std::memcpy(answer.bytes.data(), bytes.data() + i * kPageSize, kPageSize);
  }
}

void WaitingSink::OnUnavailable(ImageRange range, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  WaitWhileHolding();
  ++batches_;
  for (uint64_t i = 0; i < range.count.raw(); ++i) {
    Answer& answer = answers_[range.first.raw() + i];
    answer.status = status;
    ++answer.times;
  }
}

bool WaitingSink::WaitForPages(size_t pages) const {
  auto arrived = [this, pages]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return answers_.size() >= pages;
  };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&arrived), kLongWhile);
}

std::map<uint64_t, WaitingSink::Answer> WaitingSink::answers() const {
  absl::MutexLock lock(&mu_);
  return answers_;
}

size_t WaitingSink::batches() const {
  absl::MutexLock lock(&mu_);
  return batches_;
}

void WaitingSink::Hold() {
  absl::MutexLock lock(&mu_);
  holding_ = true;
}

bool WaitingSink::WaitUntilHeld() const {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&held_), kLongWhile);
}

void WaitingSink::Release() {
  absl::MutexLock lock(&mu_);
  holding_ = false;
}

void WaitingSink::WaitWhileHolding() {
  held_ = holding_;
  auto released = [this]()
                      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !holding_; };
  mu_.Await(absl::Condition(&released));
  held_ = false;
}

void ExpectPattern(const WaitingSink& sink, ImageRange range) {
  const auto answers = sink.answers();
  for (uint64_t page = range.first.raw(); page < range.limit().raw(); ++page) {
    auto it = answers.find(page);
    ASSERT_NE(it, answers.end()) << page;
    EXPECT_OK(it->second.status);
    EXPECT_EQ(it->second.times, 1) << page;
    EXPECT_EQ(it->second.bytes, PatternOf(ImagePage(page))) << page;
  }
}

}  // namespace pagelift
