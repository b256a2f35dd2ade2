#include "lib/transport/image_catalog.h"

#include "absl/strings/str_cat.h"

namespace pagelift {

absl::Status ToClient(const absl::Status& error) {
  if (error.ok() || absl::IsNotFound(error)) return error;
  return absl::FailedPreconditionError(error.message());
}

absl::Status CheckContentId(const std::string& name, const std::string& meant,
                            const std::string& there) {
  if (meant == there) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "image ", name, " is now another checkpoint: content id ", there));
}

}  // namespace pagelift
