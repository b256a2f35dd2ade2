#ifndef PAGELIFT_LIB_TRANSPORT_ACCESS_POLICY_H_
#define PAGELIFT_LIB_TRANSPORT_ACCESS_POLICY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/base/renewed_files.h"
#include "lib/transport/client_identity.h"

namespace pagelift {

// Which clients may open which images: the rules of a file, one a line.
//
//   line     = [ rule ] [ comment ] newline
//   comment  = a word that begins with "#", and what is behind it
//   rule     = "allow" identity image { image }
//   identity = a pattern of a name of ClientIdentity
//   image    = a pattern of an image's name
//
// Words are separated by blanks. Patterns are fnmatch(3)'s, without flags: "*"
// is any text, with "/" and "." in it. What no rule allows is refused.
//
// Immutable.
class AccessPolicy {
 public:
  // kInvalidArgument names the line and what is expected.
  static absl::StatusOr<AccessPolicy> Parse(absl::string_view text);

  bool Allows(const ClientIdentity& client, const std::string& image) const;

 private:
  struct Rule {
    std::string identity;
    std::vector<std::string> images;
  };

  std::vector<Rule> rules_;
};

// One that is in a file, and changes with it.
using AccessPolicyFile = RenewedFiles<const AccessPolicy>;
absl::StatusOr<std::unique_ptr<AccessPolicyFile>> LoadAccessPolicy(
    const std::string& path);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_ACCESS_POLICY_H_
