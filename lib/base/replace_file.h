#ifndef PAGELIFT_LIB_BASE_REPLACE_FILE_H_
#define PAGELIFT_LIB_BASE_REPLACE_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace pagelift {

// Gives the file `name` of `directory`, a descriptor, new contents, or makes
// it: whoever opens it finds all of the old ones or all of the new ones, also
// after a power failure. It is 0600. Meanwhile they lie in `name`.new, which
// one writer at a time may use; what a dead one has left there is removed.
absl::Status ReplaceFile(int directory, const std::string& name,
                         absl::string_view contents);

// The same, but for a power failure, and not waiting for a disk: for what is of
// use only as long as this host is up.
absl::Status ReplaceUnsynced(int directory, const std::string& name,
                             absl::string_view contents);

// Both files; OK if there are none.
absl::Status RemoveReplaceableFile(int directory, const std::string& name);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_REPLACE_FILE_H_
