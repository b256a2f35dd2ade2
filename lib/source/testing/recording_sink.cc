#include "lib/source/testing/recording_sink.h"

#include <utility>

namespace pagelift {

void RecordingSink::OnPages(const PageBatch& batch) {
  Delivery delivery;
  delivery.range = batch.range;
  delivery.zero = batch.zero;
  for (const auto& piece : batch.pieces) {
    delivery.bytes.insert(delivery.bytes.end(), piece.begin(), piece.end());
  }
  absl::MutexLock lock(&mu_);
  deliveries_.push_back(std::move(delivery));
}

void RecordingSink::OnUnavailable(ImageRange range,
                                  const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  deliveries_.push_back({range, false, {}, status});
}

std::vector<RecordingSink::Delivery> RecordingSink::deliveries() const {
  absl::MutexLock lock(&mu_);
  return deliveries_;
}

PageCount RecordingSink::answered() const {
  absl::MutexLock lock(&mu_);
  PageCount sum;
  for (const Delivery& delivery : deliveries_) sum = sum + delivery.range.count;
  return sum;
}

}  // namespace pagelift
