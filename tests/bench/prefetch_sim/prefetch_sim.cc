// Compares prefetch policies on the first touches of real processes, over links
// that are modelled: how long the threads of the process wait altogether.
//
//   prefetch_sim --traces DIR
//   prefetch_sim --traces DIR --trace jvm --link fast --policy mix --details
//
// A trace's first launch is judged; its second is what a recording knows.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "lib/base/command_line.h"
#include "lib/base/json_string.h"
#include "lib/base/status_macros.h"
#include "tests/bench/prefetch_sim/contenders.h"
#include "tests/bench/prefetch_sim/link.h"
#include "tests/bench/prefetch_sim/simulation.h"
#include "tests/bench/prefetch_sim/window.h"
#include "tests/bench/prefetch_sim/workload.h"

namespace pagelift::bench {
namespace {

struct Options {
  std::string directory = "tests/bench/traces";
  std::vector<std::string> traces;
  std::vector<std::string> links;
  std::vector<std::string> policies;
  std::string window = "fixed";
  bool details = false;
  bool json = false;
};

// One cell of the table.
struct Judged {
  std::string policy;
  std::string trace;
  std::string link;
  Outcome outcome;
};

// Those of `all` whose name is `wanted`, which is everything if it is empty.
template <typename Named>
absl::StatusOr<std::vector<Named>> Choose(
    const std::vector<Named>& all, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return all;
  std::vector<Named> chosen;
  for (const std::string& name : wanted) {
    const auto found =
        std::find_if(all.begin(), all.end(),
                     [&](const Named& one) { return one.name == name; });
    if (found == all.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "no ", name, " among ",
          absl::StrJoin(all, ", ", [](std::string* out, const Named& one) {
            absl::StrAppend(out, one.name);
          })));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

double Milliseconds(absl::Duration duration) {
  return absl::ToDoubleMilliseconds(duration);
}

std::string AllIn(const Outcome& outcome, absl::string_view never) {
  return outcome.all_in.has_value()
             ? absl::StrFormat("%.0f", Milliseconds(*outcome.all_in))
             : std::string(never);
}

void PrintTable(const std::vector<Judged>& judged) {
  // Row by row: cells of one policy follow one another.
  std::string policy;
  for (const Judged& cell : judged) {
    if (cell.policy != judged.front().policy) break;
    std::cout << (policy.empty() ? absl::StrFormat("%-17s", "stall, ms") : "")
              << absl::StreamFormat(
                     "%13s",
                     absl::StrCat(cell.trace, "/", cell.link.substr(0, 4)));
    policy = cell.policy;
  }
  policy.clear();
  for (const Judged& cell : judged) {
    if (cell.policy != policy) {
      std::cout << absl::StreamFormat("\n%-17s", cell.policy);
    }
    policy = cell.policy;
    std::cout << absl::StreamFormat("%13.1f", Milliseconds(cell.outcome.stall));
  }
  std::cout << std::endl;
}

void PrintDetails(const std::vector<Judged>& judged) {
  std::cout << absl::StreamFormat("%-17s%-9s%-9s%10s%9s%9s%8s%8s%9s%9s%9s\n",
                                  "policy", "trace", "link", "stall, ms",
                                  "coverage", "accuracy", "demand", "late",
                                  "MiB sent", "end, ms", "all in");
  for (const Judged& cell : judged) {
    const Outcome& outcome = cell.outcome;
    std::cout << absl::StreamFormat(
        "%-17s%-9s%-9s%10.1f%8.1f%%%8.1f%%%8d%8d%9.1f%9.0f%9s\n", cell.policy,
        cell.trace, cell.link, Milliseconds(outcome.stall),
        100 * outcome.coverage(), 100 * outcome.accuracy(), outcome.demand,
        outcome.late, static_cast<double>(outcome.sent.bytes()) / (1 << 20),
        Milliseconds(outcome.length), AllIn(outcome, "never"));
  }
}

void PrintJson(const std::vector<Judged>& judged) {
  const auto one = [](std::string* out, const Judged& cell) {
    const Outcome& outcome = cell.outcome;
    absl::StrAppendFormat(
        out,
        "{\"policy\": %s, \"trace\": %s, \"link\": %s, \"stall_ms\": %.3f, "
        "\"coverage\": %.4f, \"accuracy\": %.4f, \"demand_faults\": %d, "
        "\"late_faults\": %d, \"bytes\": %d, \"touched_bytes\": %d, "
        "\"end_ms\": %.3f, \"all_in_ms\": %s}",
        JsonString(cell.policy), JsonString(cell.trace), JsonString(cell.link),
        Milliseconds(outcome.stall), outcome.coverage(), outcome.accuracy(),
        outcome.demand, outcome.late, outcome.sent.bytes(),
        outcome.touched.bytes(), Milliseconds(outcome.length),
        AllIn(outcome, "null"));
  };
  std::cout << "[" << absl::StrJoin(judged, ",\n ", one) << "]" << std::endl;
}

absl::Status Run(const Options& options) {
  WindowFactory window = [](const LinkModel& link) {
    return std::make_unique<FixedWindow>(FixedWindow::For(link));
  };
  if (options.window == "learning") {
    window = [](const LinkModel&) {
      return std::make_unique<LearningWindow>();
    };
  } else if (options.window != "fixed") {
    return absl::InvalidArgumentError(
        absl::StrCat("no window is ", options.window));
  }
  ASSIGN_OR_RETURN(const std::vector<Contender> contenders,
                   Choose(Contenders(), options.policies));
  ASSIGN_OR_RETURN(const std::vector<LinkModel> links,
                   Choose(Links(), options.links));
  std::vector<Workload> workloads;
  for (const std::string& name : options.traces) {
    ASSIGN_OR_RETURN(Workload workload,
                     Workload::Load(options.directory, name));
    workloads.push_back(std::move(workload));
  }
  std::vector<Judged> judged;
  for (const Contender& contender : contenders) {
    for (const Workload& workload : workloads) {
      for (const LinkModel& link : links) {
        judged.push_back({contender.name, workload.name, link.name,
                          Judge(contender, workload, link, window)});
      }
    }
  }
  if (options.json) {
    PrintJson(judged);
  } else if (options.details) {
    PrintDetails(judged);
  } else {
    PrintTable(judged);
  }
  return absl::OkStatus();
}

int Main(int argc, const char* const argv[]) {
  Options options;
  CommandLine line("prefetch_sim",
                   "Compares prefetch policies on the touches of real "
                   "processes, over modelled links.");
  line.Add({"traces", 0, "DIR", "where NAME-1.tr and NAME-2.tr are",
            &options.directory});
  line.Add({"trace", 't', "NAME", "sqlite, cpython, jvm, redis; default: all",
            &options.traces});
  line.Add({"link", 'l', "NAME", "fast, middling, slow; default: all",
            &options.links});
  line.Add({"policy", 'p', "NAME", "default: all", &options.policies});
  line.Add({"window", 'w', "KIND",
            "fixed: right for the link; learning: a pager's", &options.window});
  line.Add({"details", 'd', "", "more than the stall", &options.details});
  line.Add({"json", 'j', "", "everything, as JSON", &options.json});
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (options.traces.empty()) {
    options.traces = {"sqlite", "cpython", "jvm", "redis"};
  }
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  std::cerr << "prefetch_sim: " << status << std::endl;
  return 1;
}

}  // namespace
}  // namespace pagelift::bench

int main(int argc, char** argv) { return pagelift::bench::Main(argc, argv); }
