#include "lib/http2/message_assembler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pagelift {

std::string Joined(const MessagePieces& pieces) {
  std::string all;
  for (ByteSpan piece : pieces) {
    all.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  return all;
}

absl::Status MessageAssembler::Add(ByteSpan bytes) {
  while (!bytes.empty()) {
    if (prefix_bytes_ < kPrefix) {
      prefix_[prefix_bytes_++] = std::to_integer<uint8_t>(bytes[0]);
      bytes.remove_prefix(1);
      if (prefix_bytes_ < kPrefix) continue;
      if (prefix_[0] != 0) {
        return absl::UnimplementedError("a compressed message");
      }
      for (size_t i = 1; i < kPrefix; ++i) {
        body_left_ = body_left_ << 8 | prefix_[i];
      }
      if (body_left_ > most_bytes_) {
        return absl::ResourceExhaustedError(
            absl::StrCat("a message of ", body_left_, " bytes, of ",
                         most_bytes_, " that are allowed"));
      }
    }
    const size_t n = std::min(body_left_, bytes.size());
    if (n > 0) part_.push_back(bytes.first(n));
    bytes.remove_prefix(n);
    body_left_ -= n;
    if (body_left_ == 0) {
      whole_.push_back(std::move(part_));
      part_.clear();
      prefix_bytes_ = 0;
    }
  }
  return absl::OkStatus();
}

size_t MessageAssembler::missing() const {
  if (prefix_bytes_ == 0) return 0;
  return kPrefix - prefix_bytes_ + body_left_;
}

void MessageAssembler::KeepPart() {
  std::string kept = Joined(part_);  // From kept_, perhaps.
  part_.clear();
  kept_ = std::move(kept);
  if (!kept_.empty()) part_.push_back(BytesOf(kept_));
}

}  // namespace pagelift
