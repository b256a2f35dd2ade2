#include "lib/transport/source_flags.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/transport/source_url.h"

namespace pagelift {

void SourceFlags::AddTo(CommandLine& line) {
  line.Add({"tls", 0, "DIR",
            "for grpcs:// sources: show DIR/tls.crt, with tls.key, and believe "
            "servers certified by ca.crt (default: /etc/pagelift/tls)",
            &tls_});
  line.Add({"insecure", 0, "",
            "for grpc:// sources on other hosts: in plain text; whoever is on "
            "the way may read and change the memory",
            &insecure_});
}

std::string SourceFlags::AppliedTo(std::string url) const {
  if (!tls_.empty() && absl::StartsWith(url, "grpcs:")) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::absolute(tls_, error);
    url = SourceUrl::WithOption(
        url, absl::StrCat("tls=", error ? tls_ : path.string()));
  }
  if (insecure_ && absl::StartsWith(url, "grpc:"))
    url = SourceUrl::WithOption(url, "insecure");
  return url;
}

}  // namespace pagelift
