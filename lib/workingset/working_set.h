#ifndef PAGELIFT_LIB_WORKINGSET_WORKING_SET_H_
#define PAGELIFT_LIB_WORKINGSET_WORKING_SET_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/workingset/recording.h"

namespace pagelift {

struct KeptRecording {
  Recording recording;
  absl::Time kept;  // Since when; to the second.
};

// Whether recordings are written beside the images. What is there is read in
// any case.
enum class KeepWorkingSets { kNo, kYes };

// What is kept of the restores of one checkpoint.
struct WorkingSet {
  static constexpr size_t kMostRecordings = 3;

  std::vector<KeptRecording> recordings;  // The newest first.
  // For people: why what lies in their place is ignored; empty if nothing is.
  std::string ignored;
};

// The same, for people.
struct WorkingSetSummary {
  struct Kept {
    PageCount pages;
    absl::Time kept;
  };
  std::vector<Kept> recordings;  // The newest first.
  PageCount shared;              // Pages that at least two of them have.
  std::string ignored;           // As above.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_WORKING_SET_H_
