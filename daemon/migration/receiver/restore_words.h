#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_WORDS_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_WORDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/migration/criu/criu_rpc.h"

namespace pagelift {

// What is to be restored, as words that can be written down for a keeper, and
// back. Of `restore` that are its directories, its log, whether it is lazy and
// the user's options. kInvalidArgument: they are no such words.
std::vector<std::string> ToWords(const CriuWork& restore);
absl::StatusOr<CriuWork> FromWords(const std::vector<std::string>& words);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_WORDS_H_
