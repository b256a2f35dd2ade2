#ifndef PAGELIFT_LIB_MIGRATION_PRIVATE_DIRECTORY_H_
#define PAGELIFT_LIB_MIGRATION_PRIVATE_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"

namespace pagelift {

// Makes a directory that nobody else can look into, and those above it if need
// be. kPermissionDenied if it is there already, and somebody else can, or it is
// not ours.
absl::Status MakePrivateDirectory(const std::string& path);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_PRIVATE_DIRECTORY_H_
