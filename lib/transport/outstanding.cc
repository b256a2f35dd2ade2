#include "lib/transport/outstanding.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pagelift {

Outstanding::Request Outstanding::Add(ImageRange range, int attempt) {
  Request request{next_id_++, range, attempt};
  Entry& entry = requests_[request.id];
  entry.left = {range};
  entry.attempt = attempt;
  return request;
}

void Outstanding::MarkSent(uint64_t id, absl::Duration now) {
  auto it = requests_.find(id);
  if (it == requests_.end()) return;
  it->second.sent = now;
  it->second.since = now;
  last_progress_ = now;
}

absl::Duration Outstanding::WaitingSince() const {
  absl::Duration since = absl::InfiniteDuration();
  for (const auto& [id, entry] : requests_) {
    since = std::min(since, entry.since);
  }
  return since;
}

absl::Duration Outstanding::SentAt(ImagePage page) const {
  for (const auto& [id, entry] : requests_) {
    for (ImageRange range : entry.left) {
      if (range.Contains(page)) return entry.sent;
    }
  }
  return absl::InfiniteDuration();
}

absl::StatusOr<Outstanding::Taken> Outstanding::Take(uint64_t id,
                                                     ImageRange range,
                                                     absl::Duration now) {
  auto it = requests_.find(id);
  if (it == requests_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("an answer to request ", id, ", which is not open"));
  }
  Entry& entry = it->second;
  auto left = std::find_if(
      entry.left.begin(), entry.left.end(),
      [&](ImageRange candidate) { return candidate.Contains(range); });
  if (left == entry.left.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pages ", ToString(range), " were not asked for by request ", id,
        ", or came before"));
  }
  const Taken taken{entry.attempt, entry.sent};
  const ImageRange before = ImageRange::Between(left->first, range.first);
  const ImageRange after = ImageRange::Between(range.limit(), left->limit());
  entry.left.erase(left);
  if (!before.empty()) entry.left.push_back(before);
  if (!after.empty()) entry.left.push_back(after);
  entry.since = now;
  last_progress_ = now;
  if (entry.left.empty()) requests_.erase(it);
  return taken;
}

std::vector<Outstanding::Request> Outstanding::Renew() {
  std::vector<std::pair<uint64_t, Entry>> old(requests_.begin(),
                                              requests_.end());
  // In the order in which they were made.
  std::sort(old.begin(), old.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  requests_.clear();
  std::vector<Request> renewed;
  for (const auto& [id, entry] : old) {
    for (ImageRange range : entry.left) {
      renewed.push_back(Add(range, entry.attempt));
    }
  }
  return renewed;
}

}  // namespace pagelift
