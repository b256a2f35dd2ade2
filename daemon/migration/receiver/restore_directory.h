#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_DIRECTORY_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_DIRECTORY_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"

namespace pagelift {

// What is written down of one run of criu restore that is held.
struct RestoreNotes {
  bool of_this_boot = false;  // Else there is nothing of it any more.
  std::optional<ProcessName> keeper;
  bool begun = false;  // The keeper was told what to restore.
  std::optional<ProcessName> criu;
  std::optional<ProcessName> root;  // Of the restored tree; since it is held.
  std::vector<ProcessName> tasks;   // Soon after; what is below it, and it.
  bool aborted = false;             // It has not run, and is not to.
  bool let_go = false;    // The word to go on was, or was about to be, sent.
  bool passed = false;    // It came: criu was told to go on.
  bool resuming = false;  // Criu was about to detach from the tasks.
  std::optional<int> exit_code;  // Of criu, 128 + N if signal N ended it.

  bool held() const { return root.has_value(); }
};

// The directory of such a run: a worker and the keeper tell each other in it
// how far they are. None of it has to survive the host, so nothing waits for
// the disk; each note is whole or not there.
//
// Thread-compatible.
class RestoreDirectory {
 public:
  // Of the keeper's lock and of the notes; made, 0700, if it is not there.
  static absl::StatusOr<RestoreDirectory> Open(const std::string& path);
  static RestoreDirectory Adopt(UniqueFd directory) {
    return RestoreDirectory(std::move(directory));
  }

  // A descriptor that keeps others from starting a keeper, for as long as it or
  // a duplicate is open anywhere. kFailedPrecondition if there is one already.
  absl::StatusOr<UniqueFd> LockForKeeper() const;
  bool HasKeeper() const;

  // Forgets an earlier run, and makes a gate for the next one.
  absl::Status Renew() const;
  // Both ways: waits for nobody, and keeps what is said in it.
  absl::StatusOr<UniqueFd> OpenGate() const;

  RestoreNotes Read() const;
  absl::Status NoteKeeper(const ProcessName& keeper) const;
  // What is to be restored; see ToWords().
  absl::Status NoteBegun(const std::vector<std::string>& words) const;
  // kNotFound: nothing yet.
  absl::StatusOr<std::vector<std::string>> ReadBegun() const;
  absl::Status NoteCriu(const ProcessName& criu) const;
  absl::Status NoteHeld(const ProcessName& root) const;
  absl::Status NoteTasks(absl::Span<const PidFd> tasks) const;
  absl::Status NoteAborted() const;
  absl::Status NoteLetGo() const;
  absl::Status NotePassed() const;
  absl::Status NoteResuming() const;
  absl::Status NoteExit(int exit_code) const;

  // It was removed, with all that it told.
  bool IsGone() const;
  int fd() const { return directory_.get(); }

 private:
  explicit RestoreDirectory(UniqueFd directory)
      : directory_(std::move(directory)) {}
  absl::Status Write(const std::string& name, const std::string& text) const;
  // Nothing if it is not there, or not whole.
  std::optional<std::string> ReadLine(const std::string& name) const;
  std::optional<ProcessName> ReadName(const std::string& name) const;
  bool Has(const char* name) const;

  UniqueFd directory_;
};

// What the keeper may be told in the gate.
inline constexpr char kCommitWord[] = "commit\n";
inline constexpr char kAbortWord[] = "abort\n";
absl::Status SendWord(int gate, const std::string& word);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_DIRECTORY_H_
