#include "lib/process/registered_ranges.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/memory/append_joined.h"
#include "lib/process/mapping_line.h"

namespace pagelift {
namespace {

// " rd wr mr mw me ac um", as proc_pid_smaps(5) explains them.
void ParseFlags(absl::string_view flags, Mapping& mapping) {
  for (absl::string_view flag : absl::StrSplit(flags, ' ', absl::SkipEmpty())) {
    if (flag == "um") mapping.registered_missing = true;
    if (flag == "uw") mapping.registered_write_protect = true;
    if (flag == "ui") mapping.registered_minor = true;
    if (flag == "wf") mapping.wipe_on_fork = true;
    if (flag == "dc") mapping.left_out_of_forks = true;
    if (flag == "ms") mapping.shared = true;
    if (flag == "lo") mapping.locked = true;
    if (flag == "gu") mapping.guarded = true;
  }
}

// A mapping that grew or was joined while the file was being read may start
// inside the one before.
void AppendClipped(Mapping mapping, std::vector<Mapping>& mappings) {
  if (!mappings.empty()) {
    const PageId least = mappings.back().pages.limit();
    mapping.pages = PageRange::Between(std::max(least, mapping.pages.first),
                                       mapping.pages.limit());
  }
  if (!mapping.pages.empty()) mappings.push_back(mapping);
}

absl::Status NotSmaps() {
  return absl::InvalidArgumentError(
      "smaps: not an alternation of mappings and their flags");
}

}  // namespace

RegisteredRanges::RegisteredRanges(std::vector<Mapping> mappings)
    : mappings_(std::move(mappings)) {}

absl::StatusOr<RegisteredRanges> RegisteredRanges::OfProcess(pid_t pid) {
  ASSIGN_OR_RETURN(std::string text,
                   ReadFile(absl::StrCat("/proc/", pid, "/smaps")));
  if (text.empty()) {
    return absl::NotFoundError(absl::StrCat("process ", pid, " has no memory"));
  }
  return Parse(text);
}

absl::StatusOr<RegisteredRanges> RegisteredRanges::Parse(
    std::string_view smaps) {
  std::vector<Mapping> mappings;
  std::optional<Mapping> current;  // Its flags come last.
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(smaps.data(), smaps.size()), '\n')) {
    if (std::optional<PageRange> pages = ParseMappedPages(line)) {
      if (current.has_value()) return NotSmaps();
      current.emplace().pages = *pages;
    } else if (absl::ConsumePrefix(&line, "VmFlags:")) {
      if (!current.has_value()) return NotSmaps();
      ParseFlags(line, *current);
      AppendClipped(*current, mappings);
      current.reset();
    }
  }
  if (current.has_value() || mappings.empty()) return NotSmaps();
  return RegisteredRanges(std::move(mappings));
}

template <typename Is>
std::vector<PageRange> RegisteredRanges::PartsOf(PageRange range, Is is) const {
  auto mapping = std::partition_point(
      mappings_.begin(), mappings_.end(),
      [&](const Mapping& m) { return m.pages.limit() <= range.first; });
  std::vector<PageRange> parts;
  for (; mapping != mappings_.end() && mapping->pages.first < range.limit();
       ++mapping) {
    const PageRange part = mapping->pages.Intersect(range);
    if (!is(*mapping) || part.empty()) continue;
    AppendJoined(parts, part);
  }
  return parts;
}

std::vector<PageRange> RegisteredRanges::RegisteredIn(PageRange range) const {
  return PartsOf(range, [](const Mapping& m) { return m.registered(); });
}

std::vector<PageRange> RegisteredRanges::WipedOnForkIn(PageRange range) const {
  return PartsOf(range, [](const Mapping& m) { return m.wipe_on_fork; });
}

}  // namespace pagelift
