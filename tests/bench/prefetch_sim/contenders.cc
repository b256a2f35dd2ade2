#include "tests/bench/prefetch_sim/contenders.h"

#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/address_sweep.h"
#include "lib/prefetch/bubble.h"
#include "lib/prefetch/demand_only.h"
#include "lib/prefetch/mix.h"
#include "lib/prefetch/replay.h"
#include "lib/prefetch/streams.h"
#include "lib/prefetch/sweep_from_fault.h"

namespace pagelift::bench {
namespace {

using Kind = Contender::Kind;

// Asks the second only when the first has nothing.
class Strict : public PrefetchPolicy {
 public:
  Strict(std::unique_ptr<PrefetchPolicy> first,
         std::unique_ptr<PrefetchPolicy> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  void OnFault(const DemandFault& fault) override {
    first_->OnFault(fault);
    second_->OnFault(fault);
  }
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override {
    std::optional<PageMap::Piece> piece = first_->Next(pages, most);
    return piece.has_value() ? piece : second_->Next(pages, most);
  }

 private:
  std::unique_ptr<PrefetchPolicy> first_;
  std::unique_ptr<PrefetchPolicy> second_;
};

// One that needs to know nothing.
template <typename Policy>
Contender Simple(std::string name, Kind kind = Kind::kSingle) {
  return {std::move(name), kind,
          [](const Workload&) { return std::make_unique<Policy>(); }, nullptr};
}

std::vector<Contender> MakeContenders() {
  Contender criu = Simple<AddressSweep>("criu", Kind::kForScale);
  criu.window = [] {
    return std::make_unique<FixedWindow>(FixedWindow::OneRequest());
  };
  return {
      Simple<DemandOnly>("demand"),
      std::move(criu),
      Simple<AddressSweep>("sweep"),
      Simple<SweepFromFault>("sweep-from-fault"),
      Simple<Streams>("streams"),
      Simple<Bubble>("bubble"),
      {"replay", Kind::kSingle,
       [](const Workload& workload) {
         return std::make_unique<Strict>(
             std::make_unique<Replay>(workload.recorded),
             std::make_unique<AddressSweep>());
       },
       nullptr},
      {"mix", Kind::kMix,
       [](const Workload& workload) {
         return std::make_unique<Mix>(workload.recorded);
       },
       nullptr},
      {"mix-unrecorded", Kind::kForScale,
       [](const Workload&) {
         return std::make_unique<Mix>(std::vector<ImagePage>());
       },
       nullptr},
      {"oracle", Kind::kForScale,
       [](const Workload& workload) {
         return std::make_unique<Strict>(
             std::make_unique<Replay>(workload.itself),
             std::make_unique<AddressSweep>());
       },
       nullptr},
  };
}

}  // namespace

const std::vector<Contender>& Contenders() {
  static const auto* const contenders =
      new std::vector<Contender>(MakeContenders());
  return *contenders;
}

const std::vector<LinkModel>& Links() {
  static const auto* const links = new std::vector<LinkModel>{
      {"fast", absl::Microseconds(100), 1.2e9},
      {"middling", absl::Microseconds(500), 0.12e9},
      {"slow", absl::Milliseconds(2), 0.03e9},
  };
  return *links;
}

Outcome Judge(const Contender& contender, const Workload& workload,
              const LinkModel& link, const WindowFactory& window) {
  const std::unique_ptr<PrefetchPolicy> policy = contender.policy(workload);
  const std::unique_ptr<Window> room =
      contender.window != nullptr ? contender.window() : window(link);
  return Simulate(workload.trace, link, *policy, *room);
}

}  // namespace pagelift::bench
