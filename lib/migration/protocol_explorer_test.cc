// Every order of steps, lost, late and repeated messages, and deaths of either
// side, of the two machines that the programs run.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/migration/destination_protocol.h"
#include "lib/migration/source_protocol.h"

namespace pagelift {
namespace {

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

constexpr MigrationRequest kRequests[] = {
    MigrationRequest::kPrepare, MigrationRequest::kShip,
    MigrationRequest::kRestore, MigrationRequest::kCommit,
    MigrationRequest::kAbort,   MigrationRequest::kRelease,
};

// Collects what may come after a world.
class Successors {
 public:
  struct Next {
    World world;
    bool is_progress;  // No failure, and nobody changes his mind.
    std::string what;
  };

  explicit Successors(const World& from) : from_(from) {
    Source();
    SourceFails();
    Messages();
    Destination();
    DestinationFails();
  }
  const std::vector<Next>& all() const { return all_; }

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
  std::vector<Next> all_;
};

// Empty if all is well.
std::string WhatIsWrong(const World& w) {
  if (w.tree == Tree::kRuns && w.tasks == Tasks::kRun) return "two run";
  const bool committed = w.source_record != SourceRecorded::kPlanned &&
                         w.source_record != SourceRecorded::kAborted;
  if (committed && w.tree == Tree::kRuns) return "runs here after commit";
  if (!committed && w.tasks == Tasks::kRun) return "runs there uncommitted";
  if (w.tree == Tree::kDead && w.tasks != Tasks::kRun) {
    return "dead here before it runs there";
  }
  if (w.killed_what_runs) return "killed what runs";
  if (w.destination.stuck()) return "nobody knows";
  if (w.source.committed() != committed &&
      w.source.next() != SourceStep::kRecordCommitted) {
    return "the machine and its record differ";
  }
  return "";
}

// One copy runs, and nobody has anything to do.
bool IsGoodEnd(const World& w) {
  if (w.source.next() != SourceStep::kNothing) return false;
  if (w.source.aborted()) return w.tree == Tree::kRuns;
  return w.tasks == Tasks::kRun && w.tree == Tree::kDead &&
         w.destination_record == DestinationRecorded::kReleased;
}

class Exploration {
 public:
  Exploration() {
    Visit(World(), -1, "begin");
    for (size_t at = 0; at < worlds_.size(); ++at) {
      const Successors successors(*worlds_[at]);
      for (const Successors::Next& next : successors.all()) {
        const size_t to = Visit(next.world, static_cast<int>(at), next.what);
        if (next.is_progress) before_[to].push_back(at);
      }
    }
  }

  size_t size() const { return worlds_.size(); }
  const World& world(size_t i) const { return *worlds_[i]; }

  // How it came to that.
  std::string Story(size_t i) const {
    std::string story;
    for (int at = static_cast<int>(i); at >= 0;
         at = from_[static_cast<size_t>(at)].first) {
      const auto n = static_cast<size_t>(at);
      story = absl::StrCat("  ", from_[n].second, " -> ",
                           worlds_[n]->ToString(), "\n", story);
    }
    return story;
  }

  // Those from which nothing but progress leads to a good end.
  std::vector<bool> CanEndWell() const {
    std::vector<bool> can(worlds_.size(), false);
    std::deque<size_t> queue;
    for (size_t i = 0; i < worlds_.size(); ++i) {
      if (IsGoodEnd(*worlds_[i])) {
        can[i] = true;
        queue.push_back(i);
      }
    }
    while (!queue.empty()) {
      const size_t at = queue.front();
      queue.pop_front();
      const auto before = before_.find(at);
      if (before == before_.end()) continue;
      for (size_t from : before->second) {
        if (can[from]) continue;
        can[from] = true;
        queue.push_back(from);
      }
    }
    return can;
  }

 private:
  size_t Visit(const World& world, int from, const std::string& what) {
    const auto [it, is_new] = known_.emplace(world, worlds_.size());
    if (is_new) {
      worlds_.push_back(&it->first);
      from_.emplace_back(from, what);
    }
    return it->second;
  }

  std::map<World, size_t> known_;
  std::vector<const World*> worlds_;
  std::vector<std::pair<int, std::string>> from_;
  std::map<size_t, std::vector<size_t>> before_;  // By progress.
};

TEST(ProtocolExplorerTest, NeverTwoRunAndNeverNoneForGood) {
  const Exploration exploration;
  const std::vector<bool> can_end_well = exploration.CanEndWell();
  std::set<std::string> told;
  size_t ends = 0;
  for (size_t i = 0; i < exploration.size(); ++i) {
    std::string wrong = WhatIsWrong(exploration.world(i));
    if (wrong.empty() && !can_end_well[i]) wrong = "cannot end well";
    if (IsGoodEnd(exploration.world(i))) ++ends;
    if (wrong.empty() || !told.insert(wrong).second) continue;
    ADD_FAILURE() << wrong << ":\n" << exploration.Story(i);
  }
  // It has seen both ends, and something on the way.
  EXPECT_GT(ends, 2u);
  EXPECT_GT(exploration.size(), 1000u);
  RecordProperty("worlds", static_cast<int>(exploration.size()));
  printf("%zu worlds, %zu of them ends\n", exploration.size(), ends);
}

}  // namespace
}  // namespace pagelift
