#include "daemon/migration/answers/frozen_mappings.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/memory/append_joined.h"
#include "lib/process/mapping_line.h"

namespace pagelift {
namespace {

// Of which CRIU does not say that they are lazy, or may one day not: locked,
// hugetlb, a device's, a shadow stack, another pager's.
constexpr absl::string_view kSpecial[] = {"lo", "ht", "io", "pf", "mm", "ss",
                                          "um", "uw", "ui", "dp", "??"};

bool IsAnonymous(const MappingLine& line) {
  return line.device == "00:00" && line.inode == "0" &&
         (line.name.empty() || line.name == "[heap]" ||
          line.name == "[stack]" || absl::StartsWith(line.name, "[anon:"));
}

bool HasOneOf(absl::string_view names,
              absl::Span<const absl::string_view> wanted) {
  const std::vector<absl::string_view> each = absl::StrSplit(names, ' ');
  return std::find_first_of(each.begin(), each.end(), wanted.begin(),
                            wanted.end()) != each.end();
}

bool IsOrdinary(const MappingLine& line, absl::string_view names) {
  return IsAnonymous(line) && line.permissions[3] == 'p' &&
         !HasOneOf(names, kSpecial);
}

// Of the page for vsyscalls, which every process has and no list of mappings
// but /proc shows (VM_READ and VM_EXEC are the same everywhere).
uint64_t BitsOfGate(const MappingLine& line) {
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
    const std::optional<MappingLine> line = ParseMappingLine(text);
    if (!line.has_value()) return DoNotFit(text);
    uint64_t bits = 0;
    if (line->name == "[vsyscall]") {
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
    AppendJoined(frozen.lazy, line->pages);
  }
  if (!flags.empty()) return DoNotFit("the end");
  return frozen;
}

}  // namespace pagelift
