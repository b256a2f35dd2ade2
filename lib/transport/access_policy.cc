#include "lib/transport/access_policy.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

bool Matches(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

}  // namespace

absl::StatusOr<AccessPolicy> AccessPolicy::Parse(absl::string_view text) {
  AccessPolicy policy;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    words.erase(
        std::find_if(words.begin(), words.end(),
                     [](const std::string& word) { return word[0] == '#'; }),
        words.end());
    if (words.empty()) continue;
    if (words[0] != "allow" || words.size() < 3) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": expected allow IDENTITY IMAGE..."));
    }
    policy.rules_.push_back({words[1], {words.begin() + 2, words.end()}});
  }
  return policy;
}

bool AccessPolicy::Allows(const ClientIdentity& client,
                          const std::string& image) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return std::any_of(client.names().begin(), client.names().end(),
                       [&](const std::string& name) {
                         return Matches(rule.identity, name);
                       }) &&
           std::any_of(rule.images.begin(), rule.images.end(),
                       [&](const std::string& pattern) {
                         return Matches(pattern, image);
                       });
  });
}

absl::StatusOr<std::unique_ptr<AccessPolicyFile>> LoadAccessPolicy(
    const std::string& path) {
  return AccessPolicyFile::Load(
      {path}, [path]() -> absl::StatusOr<std::shared_ptr<const AccessPolicy>> {
        ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
        // Half a pattern may allow more than a whole one.
        if (!text.empty() && text.back() != '\n') {
          return absl::FailedPreconditionError(absl::StrCat(
              path, ": the last line has no end: is it all there?"));
        }
        absl::StatusOr<AccessPolicy> policy = AccessPolicy::Parse(text);
        if (!policy.ok()) return Annotate(policy.status(), path);
        return std::make_shared<const AccessPolicy>(*std::move(policy));
      });
}

}  // namespace pagelift
