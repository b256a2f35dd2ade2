#ifndef PAGELIFT_LIB_WORKINGSET_WORKING_SET_FILE_H_
#define PAGELIFT_LIB_WORKINGSET_WORKING_SET_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/workingset/recording.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

// The working set of a checkpoint, in a file of its image directory.
//
// Thread-safe, also against other processes: the file is replaced as a whole,
// by one writer at a time, who holds a lock (flock(2)) on the directory.
class WorkingSetFile {
 public:
  static constexpr char kName[] = "pagelift-working-set";

  // Of the checkpoint `content_id`, of `page_count` pages, in `directory`.
  static absl::StatusOr<WorkingSetFile> Open(const std::string& directory,
                                             std::string content_id,
                                             PageCount page_count);
  // The same in a directory that is open already, perhaps with O_PATH, and that
  // people know as `path`.
  WorkingSetFile(UniqueFd directory, std::string path, std::string content_id,
                 PageCount page_count);

  const std::string& content_id() const { return content_id_; }
  PageCount page_count() const { return page_count_; }

  // What is kept; nothing if there is no file. One that is damaged or of
  // another checkpoint is ignored, which is logged and said.
  absl::StatusOr<WorkingSet> Read() const;

  // Keeps `recording` as the newest from `now` on, and not more than there may
  // be. The file is 0600. kUnavailable if others hold the lock for seconds.
  absl::Status Add(const Recording& recording, absl::Time now) const;

  // Keeps nothing. OK if nothing is kept.
  absl::Status Drop() const;

 private:
  // Whoever has it may write, until it is closed.
  absl::StatusOr<UniqueFd> Lock() const;
  // kNotFound if there is none, kDataLoss if it cannot be what we wrote.
  absl::StatusOr<std::string> ReadBytes() const;
  std::string FilePath() const { return path_ + "/" + kName; }

  UniqueFd directory_;
  std::string path_;
  std::string content_id_;
  PageCount page_count_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_WORKING_SET_FILE_H_
