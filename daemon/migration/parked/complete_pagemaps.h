#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_COMPLETE_PAGEMAPS_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_COMPLETE_PAGEMAPS_H_

#include <string>

#include "absl/status/status.h"
#include "daemon/migration/answers/memory_answers.h"
#include "daemon/migration/parked/frozen_tree.h"

namespace pagelift {

// Puts the lazy pages that CRIU was not told of into the page maps which it has
// written into the directory `images`. To be called once, when the tree is
// parked; an error leaves some without them. Nothing is synced.
absl::Status CompletePagemaps(const std::string& images, const FrozenTree& tree,
                              MemoryAnswers& answers);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_COMPLETE_PAGEMAPS_H_
