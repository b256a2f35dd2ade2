#include "lib/transport/image_catalog.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pagelift {
namespace {

constexpr size_t kMostNamesShown = 20;
constexpr size_t kMostOfAName = 100;

}  // namespace

std::string QuotedImageName(absl::string_view name) {
  return absl::StrCat("\"", absl::CEscape(name.substr(0, kMostOfAName)),
                      name.size() > kMostOfAName ? "..." : "", "\"");
}

absl::Status NoSuchImageError(absl::string_view name,
                              std::vector<std::string> names) {
  const size_t more = names.size() - std::min(names.size(), kMostNamesShown);
  names.resize(names.size() - more);
  return absl::NotFoundError(absl::StrCat(
      "no image ", QuotedImageName(name), "; there ",
      names.empty() ? "is none" : "is: ", absl::StrJoin(names, ", "),
      more == 0 ? "" : absl::StrCat(", and ", more, " more")));
}

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
