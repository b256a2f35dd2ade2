#include "daemon/migration/answers/frozen_mappings.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Of which CRIU does not say that they are lazy, or may one day not: locked,
// hugetlb, a device's, a shadow stack, another pager's.
constexpr absl::string_view kSpecial[] = {"lo", "ht", "io", "pf", "mm", "ss",
                                          "um", "uw", "ui", "dp", "??"};

struct Line {
  PageRange pages;
  absl::string_view permissions;
  bool anonymous = false;
};

std::optional<Line> Parse(absl::string_view text) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(text, absl::MaxSplits(' ', 5));
  if (fields.size() != 6 || fields[1].size() != 4) return std::nullopt;
  const std::pair<absl::string_view, absl::string_view> addresses =
      absl::StrSplit(fields[0], '-');
  uint64_t start = 0;
  uint64_t limit = 0;
  if (!absl::SimpleHexAtoi(addresses.first, &start) ||
      !absl::SimpleHexAtoi(addresses.second, &limit) || limit <= start) {
    return std::nullopt;
  }
  Line line;
  line.pages = PagesOf(start, limit);
  line.permissions = fields[1];
  const absl::string_view name = absl::StripLeadingAsciiWhitespace(fields[5]);
  line.anonymous = fields[3] == "00:00" && fields[4] == "0" &&
                   (name.empty() || name == "[heap]" || name == "[stack]" ||
                    absl::StartsWith(name, "[anon:"));
  return line;
}

bool HasOneOf(absl::string_view names,
              absl::Span<const absl::string_view> wanted) {
  const std::vector<absl::string_view> each = absl::StrSplit(names, ' ');
  return std::find_first_of(each.begin(), each.end(), wanted.begin(),
                            wanted.end()) != each.end();
}

bool IsOrdinary(const Line& line, absl::string_view names) {
  return line.anonymous && line.permissions[3] == 'p' &&
         !HasOneOf(names, kSpecial);
}

// Of the page for vsyscalls, which every process has and no list of mappings
// but /proc shows (VM_READ and VM_EXEC are the same everywhere).
uint64_t BitsOfGate(const Line& line) {
  return (line.permissions[0] == 'r' ? 1u : 0u) |
         (line.permissions[2] == 'x' ? 4u : 0u);
}

absl::Status DoNotFit(absl::string_view text) {
  return absl::FailedPreconditionError(absl::StrCat(
      "mappings and their flags do not fit together at \"", text, "\""));
}

}  // namespace

absl::StatusOr<FrozenMappings> FrozenMappings::Of(
    absl::string_view maps, absl::Span<const VmaFlags> flags,
    const VmaFlagNames& names) {
  FrozenMappings frozen;
  for (absl::string_view text : absl::StrSplit(maps, '\n', absl::SkipEmpty())) {
    const std::optional<Line> line = Parse(text);
    if (!line.has_value()) return DoNotFit(text);
    uint64_t bits = 0;
    if (absl::EndsWith(text, "[vsyscall]")) {
      bits = BitsOfGate(*line);
    } else {
      if (flags.empty() || flags.front().pages != line->pages) {
        return DoNotFit(text);
      }
      bits = flags.front().bits;
      flags.remove_prefix(1);
    }
    const std::optional<std::string> named = names.Of(bits);
    if (!named.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("flags 0x", absl::Hex(bits), " of mapping \"", text,
                       "\" have no names that are known"));
    }
    absl::StrAppend(&frozen.smaps, text, "\nVmFlags: ", *named, " \n");
    if (!IsOrdinary(*line, *named)) continue;
    if (!names.names_guards() ||
        HasOneOf(*named, {VmaFlagNames::kMaybeGuarded})) {
      frozen.maybe_guarded = true;
    }
    if (!frozen.lazy.empty() &&
        frozen.lazy.back().limit() == line->pages.first) {
      frozen.lazy.back().count = frozen.lazy.back().count + line->pages.count;
    } else {
      frozen.lazy.push_back(line->pages);
    }
  }
  if (!flags.empty()) return DoNotFit("the end");
  return frozen;
}

}  // namespace pagelift
