// AddressSpace against a model of the kernel, by random interleavings of what
// threads do, of the kernel's messages, and of what a pager does: thousands of
// races that the real kernel would show once in a while, each with its seed.
//
// The steps are those that are atomic in reality, because an address space
// holds its lock around a read and what follows from it, and around an install.

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/pager/session/address_space.h"
#include "daemon/pager/session/testing/model_kernel.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using Answer = AddressSpace::Answer;
using Outcome = AddressSpace::Outcome;

constexpr uint64_t kLazy = 32;
constexpr uint64_t kRegistered = 40;
constexpr int kSteps = 600;
// Then nobody begins anything, and all has to come to an end.
constexpr int kMostStepsToEnd = 20000;

class Race {
 public:
  explicit Race(uint32_t seed) : random_(seed) {
    auto kernel =
        std::make_shared<ModelKernel>(random_, trace_, kLazy, kRegistered);
    PageMap map;
    EXPECT_OK(map.Add({ModelKernel::kBase, PageCount(kLazy)}, ImagePage(0)));
    RangeSet regions;
    regions.Insert({ModelKernel::kBase, PageCount(kRegistered)});
    if (!process_is_known_) kernel->BeUnknown();
    auto space = std::make_shared<AddressSpace>(
        kernel->Memory(), SpaceLayout(std::move(map), regions), Pid(), stats_);
    targets_.push_back({std::move(kernel), std::move(space), {}});
  }

  // Empty if all went well.
  std::string Run() {
    for (int i = 0; i < kSteps && !trace_.failed(); ++i) Step();
    ends_ = true;
    for (const Target& target : targets_) target.kernel->BeginNothing();
    int steps = 0;
    while (!trace_.failed() && !Ended()) {
      if (++steps > kMostStepsToEnd) {
        trace_.Fail("it does not come to an end: " + Unfinished());
        break;
      }
      // What is in doubt takes real time.
      if (steps % 1000 == 0) absl::SleepFor(absl::Milliseconds(11));
      Step();
    }
    for (size_t i = 0; i < targets_.size() && !trace_.failed(); ++i) {
      Detach(targets_[i]);
      targets_[i].kernel->CheckAll();
    }
    return trace_.failed() ? trace_.Report() : "";
  }

 private:
  struct Target {
    std::shared_ptr<ModelKernel> kernel;
    std::shared_ptr<AddressSpace> space;
    std::vector<PageId> faults;  // Read, and not looked at yet.
  };
  // Pages that have arrived, on their way through the targets.
  struct Delivery {
    ImageRange range;
    size_t target = 0;
  };

  // Some of what is done depends on whether it is known. The model does not
  // care which it is.
  std::optional<PidFd> Pid() const {
    if (!process_is_known_) return std::nullopt;
    return PidFd::Open(getpid()).value();
  }

  void Step() {
    const size_t at = Below(targets_.size());
    Target& target = targets_[at];
    switch (Below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return target.kernel->Step(Below(ModelKernel::kThreads));
      case 5:
        return Drain(at);
      case 6:
        return Look(target);
      case 7:
        return Retry(target);
      case 8:
        return Prefetch(target);
      case 9:
        return Arrive();
      case 10:
        return Deliver();
      case 11:
        if (target.space->held()) {
          trace_.Say("pager knows a child");
          target.space->Release(Pid(), target.kernel->wiped());
        } else if (Below(8) == 0) {
          Detach(target);
        }
        return;
    }
  }

  void Drain(size_t at) {
    if (targets_[at].space->closed() || targets_[at].space->held()) return;
    std::vector<PageFault> faults;
    std::vector<std::shared_ptr<AddressSpace>> spaces;
    EXPECT_OK(targets_[at].space->Drain(
        &faults, [&](std::shared_ptr<AddressSpace> child) {
          spaces.push_back(std::move(child));
        }));
    for (const PageFault& fault : faults) {
      targets_[at].faults.push_back(fault.page);
    }
    Adopt(at, std::move(spaces));
  }

  void Adopt(size_t parent, std::vector<std::shared_ptr<AddressSpace>> spaces) {
    std::vector<std::shared_ptr<ModelKernel>> kernels =
        targets_[parent].kernel->TakeChildren();
    ASSERT_EQ(kernels.size(), spaces.size());
    for (size_t i = 0; i < kernels.size(); ++i) {
      targets_.push_back({kernels[i], spaces[i], {}});
    }
  }

  void Look(Target& target) {
    if (target.faults.empty()) return;
    const size_t which = Below(target.faults.size());
    const PageId page = target.faults[which];
    target.faults.erase(target.faults.begin() + static_cast<long>(which));
    Serve(target, page);
  }

  void Serve(Target& target, PageId page) {
    if (target.space->closed()) return;
    ImagePage image;
    if (AddressSpace::AsksSource(target.space->Resolve(page, &image))) {
      requested_.push_back({image, PageCount(1)});
    }
  }

  void Retry(Target& target) {
    if (target.space->closed() || target.space->held()) return;
    for (PageId page : target.space->waiting().Deferred()) Serve(target, page);
    target.space->SettleDoubts();
  }

  void Prefetch(Target& target) {
    const PageCount skipped(Below(64));
    // In the end all are to be met, also the first.
    const PageId from = ModelKernel::kBase + (ends_ ? PageCount(0) : skipped);
    const PageRange within = PageRange::Between(from, kEveryPage.limit());
    const PageCount most(1 + Below(8));
    std::optional<PageMap::Piece> piece =
        Below(2) == 0 ? target.space->ClaimFirst(within, most)
                      : target.space->ClaimLast(within, most);
    if (piece.has_value()) {
      requested_.push_back({piece->image, piece->pages.count});
    }
  }

  // In any order, and in parts.
  void Arrive() {
    if (requested_.empty()) return;
    ImageRange& range = requested_[Below(requested_.size())];
    const PageCount count(1 + Below(range.count.raw()));
    deliveries_.push_back({{range.first, count}, 0});
    range = {range.first + count, range.count - count};
    if (!range.empty()) return;
    range = requested_.back();
    requested_.pop_back();
  }

  // To the next target: those that are forked meanwhile come behind.
  void Deliver() {
    if (deliveries_.empty()) return;
    const size_t which = Below(deliveries_.size());
    Delivery& delivery = deliveries_[which];
    AddressSpace& space = *targets_[delivery.target].space;
    std::vector<std::byte> bytes;
    for (uint64_t i = 0; i < delivery.range.count.raw(); ++i) {
      const auto page = ModelBytes(delivery.range.first.raw() + i + 1);
      bytes.insert(bytes.end(), page.begin(), page.end());
    }
    const absl::Span<const std::byte> piece = bytes;
    const Outcome outcome =
        space.Install(delivery.range, {&piece, 1}, PageCount(0));
    if (outcome == Outcome::kEventPending) {
      if (Below(3) != 0) return;  // Again later.
      space.GiveBack(delivery.range);
    }
    if (++delivery.target < targets_.size()) return;
    delivery = deliveries_.back();
    deliveries_.pop_back();
  }

  void Detach(Target& target) {
    if (target.space->closed() || !target.space->complete()) return;
    const size_t at = static_cast<size_t>(&target - targets_.data());
    std::vector<std::shared_ptr<AddressSpace>> spaces;
    target.space->Detach([&](std::shared_ptr<AddressSpace> child) {
      spaces.push_back(std::move(child));
    });
    Adopt(at, std::move(spaces));
  }

  bool Ended() const {
    if (!requested_.empty() || !deliveries_.empty()) return false;
    for (const Target& target : targets_) {
      if (!target.kernel->idle() || !target.kernel->running()) return false;
      if (target.space->held() || !target.space->complete()) return false;
    }
    return true;
  }

  std::string Unfinished() const {
    std::ostringstream out;
    out << requested_.size() << " requests, " << deliveries_.size()
        << " deliveries";
    for (const Target& target : targets_) {
      const PageMap::Counts counts = target.space->counts();
      out << "; " << target.kernel->Unfinished();
      if (target.space->complete()) continue;
      out << (target.space->held() ? ", held" : "")
          << (target.space->has_doubts() ? ", in doubt" : "") << ", "
          << counts.missing << " missing, " << counts.requested << " requested";
    }
    return out.str();
  }

  uint64_t Below(uint64_t limit) { return random_() % limit; }

  std::mt19937 random_;
  const bool process_is_known_ = Below(4) != 0;
  bool ends_ = false;
  ModelTrace trace_;
  SessionStats stats_;
  std::vector<Target> targets_;
  std::vector<ImageRange> requested_;
  std::vector<Delivery> deliveries_;
};

// PAGELIFT_MODEL_SEED=N for one race, PAGELIFT_MODEL_RACES=N for more of them.
uint32_t FromEnvironment(const char* name, uint32_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : static_cast<uint32_t>(std::atoi(value));
}

TEST(AddressSpaceModelTest, NoInterleavingInstallsOrLosesAWrongByte) {
  const uint32_t first = FromEnvironment("PAGELIFT_MODEL_SEED", 1);
  const uint32_t races =
      FromEnvironment("PAGELIFT_MODEL_RACES",
                      std::getenv("PAGELIFT_MODEL_SEED") == nullptr ? 2000 : 1);
  for (uint32_t seed = first; seed < first + races; ++seed) {
    const std::string failure = Race(seed).Run();
    ASSERT_EQ(failure, "") << "PAGELIFT_MODEL_SEED=" << seed;
  }
}

}  // namespace
}  // namespace pagelift
