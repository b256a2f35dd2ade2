#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_DUMP_ADVICE_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_DUMP_ADVICE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace pagelift {

// What somebody can do about a `criu dump` that failed with these complaints:
// sentences, or nothing if we do not know.
//
// CRIU refuses what it could only restore under conditions that it cannot see
// to; each has an option, by which a user says that they hold.
std::string AdviceOnDump(absl::string_view complaints);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_DUMP_ADVICE_H_
