// A program that does to its memory, at random and with many threads and
// processes, all that programs do, and knows what every byte has to be.
//
//   torture_target --state DIR [--mib 96] [--actors 4] [--operations 2000]
//                  [--seed 1]
//
// Answers each command (see tests/e2e/targets/control_file.h) after a round of
// so many operations of each actor and a look at every page: "OK checked=..."
// with how often each operation was done and refused, or "WRONG ..."; the
// page's history is then in DIR/log. Command n does the same every time.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/targets/control_file.h"
#include "tests/stress/torture/actor.h"
#include "tests/stress/torture/check_argument.h"
#include "tests/stress/torture/crew.h"
#include "tests/stress/torture/field.h"
#include "tests/stress/torture/relay.h"
#include "tests/stress/torture/touch.h"
#include "tests/stress/torture/world.h"

namespace pagelift::stress {
namespace {

constexpr size_t kRelaySlots = 32;
constexpr size_t kWatchers = 2;
// Rounds of the relay for each operation of an actor.
constexpr size_t kOperationsForARound = 20;

struct Options {
  std::string state;
  size_t mib = 96;
  size_t actors = 4;
  size_t operations = 2000;
  uint64_t seed = 1;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--state") options.state = value;
    if (name == "--mib") options.mib = std::strtoul(value, nullptr, 10);
    if (name == "--actors") options.actors = std::strtoul(value, nullptr, 10);
    if (name == "--seed") options.seed = std::strtoull(value, nullptr, 10);
    if (name == "--operations") {
      options.operations = std::strtoul(value, nullptr, 10);
    }
  }
  if (options.state.empty() || options.mib == 0 || options.actors == 0) {
    std::fprintf(stderr,
                 "usage: %s --state DIR [--mib N] [--actors N] "
                 "[--operations N] [--seed N]\n",
                 argv[0]);
    std::exit(64);
  }
  return options;
}

// What each thread of the crew is.
class Cast {
 public:
  Cast(const Options& options, World& world) : options_(options) {
    const size_t slots = (options.mib << 20) /
                         (options.actors * Field::kSlotPages * kPageBytes / 2);
    for (uint32_t id = 0; id < options.actors; ++id) {
      fields_.push_back(std::make_unique<Field>(id, slots + 2, options.seed));
      actors_.push_back(std::make_unique<Actor>(world, *fields_.back()));
    }
    fields_.push_back(std::make_unique<Field>(
        static_cast<uint32_t>(options.actors), kRelaySlots, options.seed));
    for (const auto& field : fields_) world.Enter(*field);
    relay_ = std::make_unique<Relay>(world, *fields_.back());
    for (size_t i = 0; i < kWatchers; ++i) {
      for (const auto& field : fields_) {
        watchers_.push_back(std::make_unique<Actor>(world, *field));
      }
    }
  }

  // Actors, one of them on the main thread, the relay, and watchers.
  size_t threads() const { return options_.actors + kWatchers; }

  void Act(size_t thread, uint64_t command) {
    const uint64_t seed =
        e2e::Scramble(options_.seed ^ e2e::Scramble(command) ^ thread);
    if (thread < options_.actors) {
      if (actors_[thread]->Work(seed, options_.operations,
                                /*is_main=*/thread == 0)) {
        actors_[thread]->CheckAll();
      }
    } else if (thread == options_.actors) {
      relay_->Work(seed, options_.operations / kOperationsForARound);
      // All of its field, as it is now that it is over.
      for (size_t page = 0; page < fields_.back()->pages(); ++page) {
        if (!watchers_[fields_.size() - 1]->CheckPage(page)) return;
      }
    } else {
      Random random(seed);
      const size_t watcher = thread - options_.actors - 1;
      for (size_t i = 0; i < options_.operations; ++i) {
        const size_t field = random.Below(fields_.size());
        const size_t page = random.Below(fields_[field]->pages());
        if (!watchers_[watcher * fields_.size() + field]->Glance(page)) return;
      }
    }
  }

 private:
  const Options options_;
  std::vector<std::unique_ptr<Field>> fields_;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::unique_ptr<Relay> relay_;
  std::vector<std::unique_ptr<Actor>> watchers_;  // By watcher, by field.
};

void WaitForOrphans(Tally& tally) {
  // Long enough for any that lives; one that hangs is wrong.
  constexpr int kSeconds = 120;
  for (int i = 0; i < kSeconds * 100 && tally.orphans != 0; ++i) {
    if (tally.AnythingWrong()) return;
    usleep(10'000);
  }
  if (tally.orphans != 0) tally.TellWrong("an orphaned process hangs");
}

std::string Answer(Tally& tally) {
  if (tally.AnythingWrong()) {
    while (tally.wrong != 2) usleep(1000);
    return std::string("WRONG ") + tally.first_wrong.data();
  }
  std::string answer = "OK checked=" + std::to_string(tally.pages_checked) +
                       " processes=" + std::to_string(tally.processes);
  for (size_t op = 0; op < kOps; ++op) {
    std::string name = ToString(static_cast<Op>(op));
    for (char& c : name) {
      if (c == ' ') c = '_';
    }
    answer += ' ' + name + '=' + std::to_string(tally.done[op]) + '/' +
              std::to_string(tally.refused[op]);
  }
  return answer;
}

[[noreturn]] void Serve(const Options& options) {
  const e2e::ControlFolder control(options.state);
  control.TakeOverStandardStreams();
  CatchMemorySignals();
  Tally& tally = *Tally::Map();
  World world(tally, options.state);
  Cast cast(options, world);
  // The main thread is one of them.
  Crew crew(cast.threads() - 1);
  for (uint64_t command = 0;;) {
    control.Answer(command, Answer(tally));
    command = control.WaitForCommandAfter(command);
    crew.Start([&](size_t thread) { cast.Act(thread + 1, command); });
    cast.Act(0, command);
    crew.Wait();
    WaitForOrphans(tally);
  }
}

}  // namespace
}  // namespace pagelift::stress

int main(int argc, char** argv) {
  using namespace pagelift::stress;
  if (argc == 3 && std::strcmp(argv[0], kCheckArgument) == 0) {
    return CheckArgument(argv[1], argv[2]);
  }
  Serve(ParseOptions(argc, argv));
}
