#ifndef PAGELIFT_LIB_MIGRATION_DESTINATION_PROTOCOL_H_
#define PAGELIFT_LIB_MIGRATION_DESTINATION_PROTOCOL_H_

#include <optional>
#include <string>
#include <tuple>

#include "absl/strings/string_view.h"

namespace pagelift {

// What the destination of a migration has written down; docs/migration.md.
enum class DestinationRecorded {
  kUnknown,  // Nothing: it never heard of it.
  kPrepared,
  kHeld,
  kCommitted,
  kResuming,
  kRunning,
  kReleased,
  kAborted,
};
std::string ToString(DestinationRecorded recorded);
std::optional<DestinationRecorded> ParseDestinationRecorded(
    absl::string_view text);

enum class MigrationRequest {
  kPrepare,
  kShip,
  kRestore,
  kCommit,
  kAbort,
  kRelease,
};

// What becomes of a request.
enum class RequestFate {
  kDone,     // It is, to be answered so.
  kWait,     // It will be, or not, by what next() says.
  kRefused,  // It never will.
};

// What is to be done; one thing at a time.
enum class DestinationStep {
  kNothing,
  kRecordPrepared,
  kLook,     // What of the restore is there? Found().
  kCleanUp,  // Kill and forget what is there of it.
  kRestore,  // Until it is held.
  kRecordHeld,
  kRecordCommitted,
  kRecordResuming,
  kLetGo,  // And wait until it runs.
  kRecordRunning,
  kForget,  // All but the record.
  kRecordReleased,
  kRecordAborted,
};
std::string ToString(DestinationStep step);

// What there may be of a restore.
enum class RestoreFound {
  kNothing,
  kHeld,        // All is restored, and waits for our word.
  kNoneHasRun,  // Something that can only be killed.
  kRuns,
};

// Decides what the destination of a migration does, and nothing else: it is the
// same in the receiver and in the test that tries every order of crashes and
// lost messages. Whoever carries out a step that records something has it on
// the disk before he says that it is done.
//
// A value.
class DestinationProtocol {
 public:
  // As its record says, after whoever did it last has died, or never was.
  explicit DestinationProtocol(DestinationRecorded recorded);

  // A request has come, or is to be answered now.
  RequestFate On(MigrationRequest request);

  DestinationStep next() const;
  // `step`, which was next(), is done, or is not. Requests may have come
  // meanwhile, except of a step that records something.
  void Done(DestinationStep step);
  void Failed(DestinationStep step);
  void Found(RestoreFound found);  // Of kLook.
  // Something has happened to what is held.
  void LookAgain();

  DestinationRecorded recorded() const { return recorded_; }
  // It does, also if that is not recorded yet.
  bool runs() const {
    return recorded_ == DestinationRecorded::kRunning || RunsUnrecorded();
  }
  // Nobody can tell any more whether it has run: it is not started again.
  bool stuck() const { return stuck_; }

  friend bool operator==(const DestinationProtocol& a,
                         const DestinationProtocol& b) {
    return a.Tie() == b.Tie();
  }
  friend bool operator<(const DestinationProtocol& a,
                        const DestinationProtocol& b) {
    return a.Tie() < b.Tie();
  }

 private:
  // What is there of the restore, as far as is known.
  enum class Hold { kNone, kUnknown, kDirty, kHeld, kRuns };

  std::tuple<DestinationRecorded, Hold, int, bool, bool> Tie() const {
    const int asked = asked_.has_value() ? 1 + static_cast<int>(*asked_) : 0;
    return {recorded_, hold_, asked, forgotten_, stuck_};
  }
  DestinationStep Bring() const;  // Until it is held.
  bool RunsUnrecorded() const {
    return recorded_ == DestinationRecorded::kResuming && hold_ == Hold::kRuns;
  }

  DestinationRecorded recorded_;
  Hold hold_;
  std::optional<MigrationRequest> asked_;  // And not recorded yet.
  bool forgotten_ = false;
  bool stuck_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_DESTINATION_PROTOCOL_H_
