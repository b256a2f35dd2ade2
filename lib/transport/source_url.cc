#include "lib/transport/source_url.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/transport/replica_requests.h"

namespace pagelift {
namespace {

absl::Status Expected(absl::string_view text, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("source \"", text, "\": ", problem,
                   "; expected criu:DIR or grpc://HOST:PORT/NAME, or grpcs:// "
                   "for TLS"));
}

// Of a DNS name: RFC 1035, section 2.3.4.
constexpr size_t kMostHost = 253;

bool IsHostAndPort(absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  return colon != absl::string_view::npos && colon != 0 && colon <= kMostHost &&
         absl::SimpleAtoi(address.substr(colon + 1), &port) && 1 <= port &&
         port <= 65535;
}

// Null, or what is wrong with it.
const char* TakeOption(absl::string_view option, SourceUrl& url) {
  if (option == "insecure") {
    url.insecure = true;
    return url.tls ? "insecure is for grpc://" : nullptr;
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(option, absl::MaxSplits('=', 1));
  std::string* value = parts.first == "tls"    ? &url.tls_directory
                       : parts.first == "name" ? &url.server_name
                                               : nullptr;
  if (value == nullptr || parts.second.empty()) {
    return "options are tls=DIR, name=SERVER and insecure";
  }
  *value = std::string(parts.second);
  if (url.server_name.size() > kMostHost) return "a name is shorter";
  return url.tls ? nullptr : "tls and name are for grpcs://";
}

}  // namespace

std::string SourceUrl::LetIn(absl::string_view text) {
  const absl::StatusOr<SourceUrl> url = Parse(text);
  const bool is_plain =
      url.ok() && url->kind == Kind::kPageServer && !url->tls && !url->insecure;
  return is_plain ? WithOption(text, "insecure") : std::string(text);
}

std::string SourceUrl::WithOption(absl::string_view text,
                                  absl::string_view option) {
  if (!absl::StartsWith(text, "grpc")) return std::string(text);
  return absl::StrCat(text, absl::StrContains(text, '?') ? "&" : "?", option);
}

absl::StatusOr<SourceUrl> SourceUrl::Parse(absl::string_view text) {
  SourceUrl url;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "criu:")) {
    if (rest.empty()) return Expected(text, "no directory");
    url.kind = Kind::kCriuDirectory;
    url.directory = std::string(rest);
    return url;
  }
  url.tls = absl::ConsumePrefix(&rest, "grpcs://");
  if (!url.tls && !absl::ConsumePrefix(&rest, "grpc://")) {
    return Expected(text, "unknown kind of source");
  }
  url.kind = Kind::kPageServer;
  const size_t question = rest.find('?');
  if (question != absl::string_view::npos) {
    for (absl::string_view option :
         absl::StrSplit(rest.substr(question + 1), '&')) {
      if (const char* problem = TakeOption(option, url)) {
        return Expected(text, problem);
      }
    }
    rest = rest.substr(0, question);
  }
  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos || slash + 1 == rest.size()) {
    return Expected(text, "no image name");
  }
  url.image = std::string(rest.substr(slash + 1));
  for (absl::string_view address : absl::StrSplit(rest.substr(0, slash), ',')) {
    if (!IsHostAndPort(address)) return Expected(text, "no host and port");
    if (std::count(url.addresses.begin(), url.addresses.end(), address) != 0) {
      return Expected(text, absl::StrCat(address, " twice"));
    }
    url.addresses.emplace_back(address);
  }
  if (url.addresses.size() > kMostReplicas) {
    return Expected(text,
                    absl::StrCat("more than ", kMostReplicas, " servers"));
  }
  return url;
}

}  // namespace pagelift
