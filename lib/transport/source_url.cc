#include "lib/transport/source_url.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace pagelift {
namespace {

absl::Status Expected(absl::string_view text, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("source \"", text, "\": ", problem,
                   "; expected criu:DIR or grpc://HOST:PORT/NAME"));
}

}  // namespace

absl::StatusOr<SourceUrl> SourceUrl::Parse(absl::string_view text) {
  SourceUrl url;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "criu:")) {
    if (rest.empty()) return Expected(text, "no directory");
    url.kind = Kind::kCriuDirectory;
    url.directory = std::string(rest);
    return url;
  }
  if (!absl::ConsumePrefix(&rest, "grpc://")) {
    return Expected(text, "unknown kind of source");
  }
  url.kind = Kind::kPageServer;
  size_t slash = rest.find('/');
  if (slash == absl::string_view::npos || slash + 1 == rest.size()) {
    return Expected(text, "no image name");
  }
  url.address = std::string(rest.substr(0, slash));
  url.image = std::string(rest.substr(slash + 1));
  size_t colon = url.address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(url.address.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return Expected(text, "no host and port");
  }
  return url;
}

}  // namespace pagelift
