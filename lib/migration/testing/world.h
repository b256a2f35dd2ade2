#ifndef PAGELIFT_LIB_MIGRATION_TESTING_WORLD_H_
#define PAGELIFT_LIB_MIGRATION_TESTING_WORLD_H_

#include <cstdint>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "lib/migration/destination_protocol.h"
#include "lib/migration/source_protocol.h"

// Both sides of a migration and what is between them, as far as it matters.
namespace pagelift {

// The process tree at the source.
enum class Tree {
  kRuns,
  kParked,   // Frozen by criu.
  kFenced,   // The same, and SIGSTOP waits for it.
  kStopped,  // That has come to effect: criu has gone.
  kDead,
};

// And at the destination.
enum class Tasks {
  kNone,
  kPartial,  // criu is at it.
  kHeld,
  kWordGiven,  // criu has been told to let it go.
  kStuck,      // criu has died before it did.
  kRun,
};

// Messages that were sent: each may come now, later, again, or never.
class Network {
 public:
  void Send(MigrationRequest request) { requests_ |= Bit(request); }
  void Answer(MigrationRequest request) { answers_ |= Bit(request); }
  void Refuse(MigrationRequest request) { refusals_ |= Bit(request); }
  bool HasRequest(MigrationRequest r) const { return requests_ & Bit(r); }
  bool HasAnswer(MigrationRequest r) const { return answers_ & Bit(r); }
  bool HasRefusal(MigrationRequest r) const { return refusals_ & Bit(r); }
  friend bool operator<(const Network& a, const Network& b) {
    return std::tie(a.requests_, a.answers_, a.refusals_) <
           std::tie(b.requests_, b.answers_, b.refusals_);
  }

 private:
  static uint8_t Bit(MigrationRequest request) {
    return static_cast<uint8_t>(1u << static_cast<int>(request));
  }
  uint8_t requests_ = 0;
  uint8_t answers_ = 0;
  uint8_t refusals_ = 0;
};

struct World {
  SourceProtocol source = SourceProtocol::Begin();
  SourceRecorded source_record = SourceRecorded::kPlanned;
  Tree tree = Tree::kRuns;
  DestinationProtocol destination{DestinationRecorded::kUnknown};
  DestinationRecorded destination_record = DestinationRecorded::kUnknown;
  Tasks tasks = Tasks::kNone;
  Network network;
  // Set when something that runs was killed by us.
  bool killed_what_runs = false;

  friend bool operator<(const World& a, const World& b) {
    return a.Tie() < b.Tie();
  }
  auto Tie() const
      -> std::tuple<const SourceProtocol&, SourceRecorded, Tree,
                    const DestinationProtocol&, DestinationRecorded, Tasks,
                    const Network&, bool> {
    return {source,      source_record,      tree,
            destination, destination_record, tasks,
            network,     killed_what_runs};
  }
  std::string ToString() const {
    return absl::StrCat(
        "source ", pagelift::ToString(source.next()), " (",
        static_cast<int>(source.next()), ") recorded ",
        pagelift::ToString(source_record), ", tree ", static_cast<int>(tree),
        "; destination ", pagelift::ToString(destination.next()), " recorded ",
        pagelift::ToString(destination_record), ", tasks ",
        static_cast<int>(tasks), destination.stuck() ? ", stuck" : "");
  }
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_TESTING_WORLD_H_
