#ifndef PAGELIFT_LIB_MIGRATION_SOURCE_PROTOCOL_H_
#define PAGELIFT_LIB_MIGRATION_SOURCE_PROTOCOL_H_

#include <optional>
#include <string>
#include <tuple>

#include "absl/strings/string_view.h"

namespace pagelift {

// What the source of a migration has written down; docs/migration.md.
enum class SourceRecorded {
  kPlanned,
  kCommitted,
  kResumed,
  kSpooled,
  kReleased,
  kAborted,
};
std::string ToString(SourceRecorded recorded);
std::optional<SourceRecorded> ParseSourceRecorded(absl::string_view text);

// What it does. A step that asks the destination is done when that has answered
// that it is; it may be asked several times until then.
enum class SourceStep {
  kPrepare,          // Ask whether it can be taken.
  kPark,             // Freeze the tree; its images are written.
  kShip,             // Send the images.
  kRestore,          // Have it restored, and held.
  kFence,            // See to it that the tree cannot go on by accident.
  kRecordCommitted,  // The commit point.
  kCommit,           // Have it run there.
  kRecordResumed,
  kSpool,  // Copy what the tree has; then it is killed.
  kRecordSpooled,
  kAwaitDrained,  // Until all pages are there.
  kRelease,       // Tell the destination that we are no longer needed.
  kRecordReleased,
  kRecordAborted,
  kLetGo,       // The tree goes on here.
  kAbortThere,  // Have it never run there.
  kNothing,     // All is done.
};
std::string ToString(SourceStep step);

// Decides what the source of a migration does next, and nothing else: it is the
// same in the server and in the test that tries every order of crashes and lost
// messages.
//
// Whoever carries out a step that records something has it on the disk before
// he says that it is done.
//
// A value.
class SourceProtocol {
 public:
  // Nothing has happened yet.
  static SourceProtocol Begin() { return SourceProtocol(SourceStep::kPrepare); }
  // After whoever did it last has died.
  static SourceProtocol GoOn(SourceRecorded recorded);

  SourceStep next() const { return next_; }

  // `step`, which was next(), is done.
  void Done(SourceStep step);
  // It is not done, and is not to be tried again: before the commit point this
  // aborts. Of a step that can only be tried again it is ignored: of those
  // after the commit point, and of those that abort. REQUIRES: of
  // kRecordCommitted, that the record is known not to say so.
  void Failed(SourceStep step);

  // Somebody wants it to stay here. Whether it does. May be called while a step
  // is being done, but for kRecordCommitted.
  bool AskToAbort();

  // Whether it will run there, and never here again.
  bool committed() const;
  // Whether it will stay here, and never run there.
  bool aborted() const;

  friend bool operator==(const SourceProtocol& a, const SourceProtocol& b) {
    return a.next_ == b.next_ && a.aborted_ == b.aborted_;
  }
  friend bool operator<(const SourceProtocol& a, const SourceProtocol& b) {
    return std::tie(a.next_, a.aborted_) < std::tie(b.next_, b.aborted_);
  }

 private:
  explicit SourceProtocol(SourceStep next, bool aborted = false)
      : next_(next), aborted_(aborted) {}

  SourceStep next_;
  bool aborted_;  // Is on the disk, or about to be.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_SOURCE_PROTOCOL_H_
