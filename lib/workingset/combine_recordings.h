#ifndef PAGELIFT_LIB_WORKINGSET_COMBINE_RECORDINGS_H_
#define PAGELIFT_LIB_WORKINGSET_COMBINE_RECORDINGS_H_

#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/workingset/recording.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

struct CombinedRecordings {
  Recording order;
  PageCount shared;  // Pages at its beginning that at least two had.
};

// The order that several recordings of one checkpoint make likely: first the
// pages that at least two have, then those that only one has; of either, first
// the newest's, as it has them, then the next one's. Cut off where a Recording
// is full.
//
// Cost: O(n log n) for n runs; under a second for three that are full.
CombinedRecordings CombineRecordings(
    absl::Span<const KeptRecording> newest_first);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_COMBINE_RECORDINGS_H_
