#include "lib/migration/testing/successors.h"

#include <utility>

#include "lib/migration/destination_protocol.h"
#include "lib/migration/source_protocol.h"

namespace pagelift {
namespace {

constexpr MigrationRequest kRequests[] = {
    MigrationRequest::kPrepare, MigrationRequest::kShip,
    MigrationRequest::kRestore, MigrationRequest::kCommit,
    MigrationRequest::kAbort,   MigrationRequest::kRelease,
};

// Collects what may come after a world.
class Successors {
 public:
  explicit Successors(const World& from) : from_(from) {
    Source();
    SourceFails();
    Messages();
    Destination();
    DestinationFails();
  }
  const std::vector<Successor>& all() const { return all_; }

 private:
  void Add(bool is_progress, const char* what,
           const std::function<void(World&)>& change) {
    World world = from_;
    change(world);
    all_.push_back({world, is_progress, what});
  }

  void Message(SourceStep step, MigrationRequest request) {
    if (!from_.network.HasRequest(request)) {
      Add(true, "send", [&](World& w) { w.network.Send(request); });
    }
    if (from_.network.HasAnswer(request)) {
      Add(true, "answered", [&](World& w) { w.source.Done(step); });
    }
    // Refused, or not answered for too long.
    Add(from_.network.HasRefusal(request), "gives up",
        [&](World& w) { w.source.Failed(step); });
  }

  void Record(SourceStep step, SourceRecorded record) {
    if (from_.source_record != record) {
      Add(true, "write", [&](World& w) { w.source_record = record; });
      Add(false, "disk full", [&](World& w) { w.source.Failed(step); });
    } else {
      Add(true, "written", [&](World& w) { w.source.Done(step); });
    }
  }

  // Done when the tree is `is`; `change` brings that about.
  void Local(SourceStep step, bool is, bool can,
             const std::function<void(World&)>& change) {
    if (is) Add(true, "done", [&](World& w) { w.source.Done(step); });
    if (can && !is) Add(true, "does", change);
    // It cannot if criu has died before.
    Add(!is && !can, "fails", [&](World& w) { w.source.Failed(step); });
  }

  void Source() {
    const SourceStep step = from_.source.next();
    const Tree tree = from_.tree;
    switch (step) {
      case SourceStep::kPrepare:
        return Message(step, MigrationRequest::kPrepare);
      case SourceStep::kPark:
        return Local(step, tree == Tree::kParked, tree == Tree::kRuns,
                     [](World& w) { w.tree = Tree::kParked; });
      case SourceStep::kShip:
        return Message(step, MigrationRequest::kShip);
      case SourceStep::kRestore:
        return Message(step, MigrationRequest::kRestore);
      case SourceStep::kFence:
        // One that runs already cannot be fenced any more.
        return Local(step, tree == Tree::kFenced, tree == Tree::kParked,
                     [](World& w) { w.tree = Tree::kFenced; });
      case SourceStep::kRecordCommitted:
        return Record(step, SourceRecorded::kCommitted);
      case SourceStep::kCommit:
        return Message(step, MigrationRequest::kCommit);
      case SourceStep::kRecordResumed:
        return Record(step, SourceRecorded::kResumed);
      case SourceStep::kSpool:
        return Local(step, tree == Tree::kDead, true,
                     [](World& w) { w.tree = Tree::kDead; });
      case SourceStep::kRecordSpooled:
        return Record(step, SourceRecorded::kSpooled);
      case SourceStep::kAwaitDrained:
        Add(true, "drained", [&](World& w) { w.source.Done(step); });
        return;
      case SourceStep::kRelease:
        return Message(step, MigrationRequest::kRelease);
      case SourceStep::kRecordReleased:
        return Record(step, SourceRecorded::kReleased);
      case SourceStep::kRecordAborted:
        return Record(step, SourceRecorded::kAborted);
      case SourceStep::kLetGo:
        return Local(step, tree == Tree::kRuns, tree != Tree::kDead,
                     [](World& w) { w.tree = Tree::kRuns; });
      case SourceStep::kAbortThere:
        return Message(step, MigrationRequest::kAbort);
      case SourceStep::kNothing:
        return;
    }
  }

  // What ends the leash.
  static void CriuDumpEnds(World& w) {
    if (w.tree == Tree::kParked) w.tree = Tree::kRuns;
    if (w.tree == Tree::kFenced) w.tree = Tree::kStopped;
  }

  void SourceFails() {
    Add(false, "worker dies",
        [](World& w) { w.source = SourceProtocol::GoOn(w.source_record); });
    Add(false, "all die", [](World& w) {
      CriuDumpEnds(w);
      w.source = SourceProtocol::GoOn(w.source_record);
    });
    Add(false, "criu dump dies", CriuDumpEnds);
    // One that records the commit point is not interrupted.
    const SourceStep step = from_.source.next();
    if (step != SourceStep::kRecordCommitted) {
      // Somebody wants it, or notices that what was parked runs.
      const bool has_gone = from_.tree != Tree::kParked &&
                            step > SourceStep::kPark &&
                            step < SourceStep::kFence;
      Add(has_gone, "abort", [](World& w) { w.source.AskToAbort(); });
    }
  }

  void Messages() {
    for (MigrationRequest request : kRequests) {
      if (!from_.network.HasRequest(request)) continue;
      Add(true, "arrives", [&](World& w) {
        switch (w.destination.On(request)) {
          case RequestFate::kDone:
            return w.network.Answer(request);
          case RequestFate::kRefused:
            return w.network.Refuse(request);
          case RequestFate::kWait:
            return;
        }
      });
    }
  }

  void DestinationRecords(DestinationStep step, DestinationRecorded record) {
    if (from_.destination_record != record) {
      Add(true, "write there",
          [&](World& w) { w.destination_record = record; });
      Add(false, "disk full there",
          [&](World& w) { w.destination.Failed(step); });
    } else {
      Add(true, "written there", [&](World& w) { w.destination.Done(step); });
    }
  }

  RestoreFound WhatIsThere() const {
    switch (from_.tasks) {
      case Tasks::kNone:
        return RestoreFound::kNothing;
      case Tasks::kHeld:
      case Tasks::kWordGiven:
        return RestoreFound::kHeld;
      case Tasks::kPartial:
      case Tasks::kStuck:
        return RestoreFound::kNoneHasRun;
      case Tasks::kRun:
        return RestoreFound::kRuns;
    }
    return RestoreFound::kNothing;
  }

  void Destination() {
    const DestinationStep step = from_.destination.next();
    const Tasks tasks = from_.tasks;
    auto done = [&](World& w) { w.destination.Done(step); };
    auto fails = [&](World& w) { w.destination.Failed(step); };
    switch (step) {
      case DestinationStep::kNothing:
        return;
      case DestinationStep::kRecordPrepared:
        return DestinationRecords(step, DestinationRecorded::kPrepared);
      case DestinationStep::kLook:
        return Add(true, "looks",
                   [&](World& w) { w.destination.Found(WhatIsThere()); });
      case DestinationStep::kCleanUp:
        if (tasks == Tasks::kNone) return Add(true, "is clean", done);
        return Add(true, "cleans up", [](World& w) {
          if (w.tasks == Tasks::kRun) w.killed_what_runs = true;
          w.tasks = Tasks::kNone;
        });
      case DestinationStep::kRestore:
        if (tasks == Tasks::kNone) {
          Add(true, "restores", [](World& w) { w.tasks = Tasks::kPartial; });
        }
        if (tasks == Tasks::kPartial) {
          Add(true, "has restored", [](World& w) { w.tasks = Tasks::kHeld; });
        }
        if (tasks == Tasks::kHeld) Add(true, "holds", done);
        return Add(tasks == Tasks::kStuck, "cannot restore", fails);
      case DestinationStep::kRecordHeld:
        return DestinationRecords(step, DestinationRecorded::kHeld);
      case DestinationStep::kRecordCommitted:
        return DestinationRecords(step, DestinationRecorded::kCommitted);
      case DestinationStep::kRecordResuming:
        return DestinationRecords(step, DestinationRecorded::kResuming);
      case DestinationStep::kLetGo:
        if (tasks == Tasks::kHeld) {
          Add(true, "word", [](World& w) { w.tasks = Tasks::kWordGiven; });
        }
        if (tasks == Tasks::kRun) Add(true, "runs", done);
        // criu has died, or is not heard of.
        return Add(tasks == Tasks::kStuck, "cannot let go", fails);
      case DestinationStep::kRecordRunning:
        return DestinationRecords(step, DestinationRecorded::kRunning);
      case DestinationStep::kForget:
        return Add(true, "forgets", done);
      case DestinationStep::kRecordReleased:
        return DestinationRecords(step, DestinationRecorded::kReleased);
      case DestinationStep::kRecordAborted:
        return DestinationRecords(step, DestinationRecorded::kAborted);
    }
  }

  void DestinationFails() {
    Add(false, "worker dies there", [](World& w) {
      w.destination = DestinationProtocol(w.destination_record);
    });
    if (from_.tasks == Tasks::kWordGiven) {
      Add(true, "criu lets go", [](World& w) { w.tasks = Tasks::kRun; });
    }
    if (from_.tasks == Tasks::kPartial || from_.tasks == Tasks::kHeld ||
        from_.tasks == Tasks::kWordGiven) {
      Add(false, "criu restore dies",
          [](World& w) { w.tasks = Tasks::kStuck; });
    }
    // Whoever watches what is held notices; not while something is recorded.
    if (from_.tasks == Tasks::kStuck &&
        from_.destination.recorded() == from_.destination_record) {
      Add(true, "notices", [](World& w) { w.destination.LookAgain(); });
    }
  }

  const World from_;
  std::vector<Successor> all_;
};

}  // namespace

std::vector<Successor> SuccessorsOf(const World& world) {
  return Successors(world).all();
}

}  // namespace pagelift
