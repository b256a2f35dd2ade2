#include "lib/process/wiped_memory.h"

namespace pagelift {
namespace {

// `range` without `cuts`, which lie in it, in order.
std::vector<PageRange> Without(PageRange range,
                               const std::vector<PageRange>& cuts) {
  std::vector<PageRange> rest;
  PageId next = range.first;
  for (PageRange cut : cuts) {
    if (next < cut.first) rest.push_back(PageRange::Between(next, cut.first));
    next = cut.limit();
  }
  if (next < range.limit()) {
    rest.push_back(PageRange::Between(next, range.limit()));
  }
  return rest;
}

}  // namespace

std::vector<PageRange> WipedByFork(
    const RegisteredRanges& parent, const RegisteredRanges& child,
    absl::FunctionRef<std::optional<bool>(PageRange)> was_copied) {
  std::vector<PageRange> wiped;
  for (const Mapping& mapping : child.mappings()) {
    if (!mapping.registered_missing) continue;
    const std::vector<PageRange> in_parent =
        parent.WipedOnForkIn(mapping.pages);
    if (mapping.wipe_on_fork) {
      wiped.insert(wiped.end(), in_parent.begin(), in_parent.end());
      for (PageRange rest : Without(mapping.pages, in_parent)) {
        const std::vector<PageRange> kept = parent.RegisteredIn(rest);
        const bool parent_moved_it = kept.size() != 1 || kept.front() != rest;
        if (!was_copied(rest).value_or(!parent_moved_it)) wiped.push_back(rest);
      }
    } else {
      for (PageRange part : in_parent) {
        if (!was_copied(part).value_or(true)) wiped.push_back(part);
      }
    }
  }
  return wiped;
}

std::vector<PageRange> LeftOutByFork(
    const RegisteredRanges& parent, const RegisteredRanges& child,
    absl::FunctionRef<std::optional<bool>(PageRange)> was_copied) {
  std::vector<PageRange> left_out;
  for (const Mapping& mapping : parent.mappings()) {
    if (!mapping.left_out_of_forks) continue;
    const PageRange range = mapping.pages;
    const std::vector<PageRange> there = child.RegisteredIn(range);
    const bool all_there = there.size() == 1 && there.front() == range;
    if (!all_there || !was_copied(range).value_or(true)) {
      left_out.push_back(range);
    }
  }
  return left_out;
}

}  // namespace pagelift
