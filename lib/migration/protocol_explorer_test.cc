// Every order of steps, lost, late and repeated messages, and deaths of either
// side, of the two machines that the programs run.

#include <cstdio>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/migration/destination_protocol.h"
#include "lib/migration/source_protocol.h"
#include "lib/migration/testing/successors.h"
#include "lib/migration/testing/world.h"

namespace pagelift {
namespace {

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
      for (const Successor& next : SuccessorsOf(*worlds_[at])) {
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
