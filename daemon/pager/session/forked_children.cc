#include "daemon/pager/session/forked_children.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/process/child_processes.h"
#include "lib/process/pagemap.h"
#include "lib/process/pidfd.h"
#include "lib/process/wiped_memory.h"

namespace pagelift {
namespace {

// How long a child may take to be among its parent's children. One that is not
// is the child of somebody else (CLONE_PARENT) or has ended.
constexpr absl::Duration kPatience = absl::Milliseconds(50);

UniqueFd OpenSpare() {
  return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

constexpr PageRange kAllPages{PageId(0), PageCount(uint64_t{1} << 52)};

// Nothing if there are no pages to tell by.
std::optional<bool> WereCopied(const std::vector<PageRange>& pages,
                               const Pagemap& child) {
  if (pages.empty()) return std::nullopt;
  for (PageRange range : pages) {
    absl::StatusOr<std::vector<PageEntry>> entries = child.Read(range);
    if (!entries.ok()) return std::nullopt;
    for (PageEntry entry : *entries) {
      if (entry != PageEntry::kNothing) return true;
    }
  }
  return false;
}

bool AnyRegistered(const RegisteredRanges& mappings) {
  return std::any_of(mappings.mappings().begin(), mappings.mappings().end(),
                     [](const Mapping& m) { return m.registered_missing; });
}

}  // namespace

ForkedChildren::ForkedChildren() : spare_fd_(OpenSpare()) {}

void ForkedChildren::Add(std::vector<std::shared_ptr<AddressSpace>> children,
                         pid_t parent) {
  spare_fd_.reset();
  const auto mappings =
      std::make_shared<const absl::StatusOr<RegisteredRanges>>(
          RegisteredRanges::OfProcess(parent));
  spare_fd_ = OpenSpare();
  for (std::shared_ptr<AddressSpace>& child : children) {
    held_.push_back({std::move(child), parent, mappings, MonotonicNow()});
  }
}

std::vector<pid_t> ForkedChildren::CandidatesOf(
    pid_t parent, absl::FunctionRef<bool(pid_t)> is_known,
    Mappings& seen_before) {
  std::vector<pid_t> candidates;
  for (pid_t pid : ChildrenOf(parent)) {
    // One made by vfork(2) has no memory of its own.
    if (is_known(pid) || ShareMemory(parent, pid)) continue;
    if (!seen_.insert(seen_before.extract(pid)).inserted) {
      absl::StatusOr<RegisteredRanges> mappings =
          RegisteredRanges::OfProcess(pid);
      if (!mappings.ok()) continue;
      seen_.emplace(pid, *std::move(mappings));
    }
    if (AnyRegistered(seen_.at(pid))) candidates.push_back(pid);
  }
  return candidates;
}

void ForkedChildren::Identify(const Held& held, pid_t candidate) {
  AddressSpace& child = *held.child;
  const RegisteredRanges mappings =
      std::move(seen_.extract(candidate).mapped());
  std::vector<PageRange> not_inherited;
  if (held.parents_mappings->ok()) {
    const RegisteredRanges& parents = **held.parents_mappings;
    absl::StatusOr<Pagemap> pagemap = Pagemap::Open(candidate);
    auto was_copied = [&](PageRange range) -> std::optional<bool> {
      if (!pagemap.ok()) return std::nullopt;
      return WereCopied(child.InheritedPages(range), *pagemap);
    };
    not_inherited = WipedByFork(parents, mappings, was_copied);
    const std::vector<PageRange> left_out =
        LeftOutByFork(parents, mappings, was_copied);
    not_inherited.insert(not_inherited.end(), left_out.begin(), left_out.end());
  } else {
    not_inherited = mappings.WipedOnForkIn(kAllPages);
  }
  absl::StatusOr<PidFd> pid = PidFd::Open(candidate);
  child.Release(pid.ok() ? std::make_optional(*std::move(pid)) : std::nullopt,
                not_inherited);
}

void ForkedChildren::GiveUp(const Held& held) {
  LOG(Debug) << "a forked child of " << held.parent << " was not found";
  std::vector<PageRange> wiped;
  if (held.parents_mappings->ok()) {
    wiped = (*held.parents_mappings)->WipedOnForkIn(kAllPages);
  }
  held.child->Release(std::nullopt, wiped);
  // A process that was seen may be this one, executing another program now.
  seen_.clear();
}

std::vector<std::shared_ptr<AddressSpace>> ForkedChildren::Release(
    absl::FunctionRef<bool(pid_t)> is_known) {
  std::vector<std::shared_ptr<AddressSpace>> released;
  std::vector<Held> still;
  // Some may have ended, and been buried, meanwhile: as with GiveUp().
  const auto ended =
      std::remove_if(held_.begin(), held_.end(),
                     [](const Held& held) { return held.child->closed(); });
  if (ended != held_.end()) seen_.clear();
  held_.erase(ended, held_.end());
  Mappings seen_before = std::exchange(seen_, {});
  spare_fd_.reset();
  while (!held_.empty()) {
    const pid_t parent = held_.front().parent;
    auto others = std::stable_partition(
        held_.begin(), held_.end(),
        [parent](const Held& held) { return held.parent == parent; });
    std::vector<Held> siblings(std::make_move_iterator(held_.begin()),
                               std::make_move_iterator(others));
    held_.erase(held_.begin(), others);
    std::vector<pid_t> candidates = CandidatesOf(parent, is_known, seen_before);
    // Several at once are taken in their order, which is that of the events
    // unless two threads fork in the same instant. If there are too many, the
    // older ones are some that were not found in time.
    const bool all_there = candidates.size() >= siblings.size();
    if (all_there) {
      candidates.erase(
          candidates.begin(),
          candidates.end() - static_cast<ptrdiff_t>(siblings.size()));
    }
    for (size_t i = 0; i < siblings.size(); ++i) {
      AddressSpace& child = *siblings[i].child;
      child.CheckAlive();
      if (all_there) {
        Identify(siblings[i], candidates[i]);
      } else if (child.gone() ||
                 MonotonicNow() - siblings[i].since >= kPatience) {
        GiveUp(siblings[i]);
      } else {
        still.push_back(std::move(siblings[i]));
        continue;
      }
      released.push_back(std::move(siblings[i].child));
    }
  }
  spare_fd_ = OpenSpare();
  held_ = std::move(still);
  if (held_.empty()) seen_.clear();
  return released;
}

}  // namespace pagelift
