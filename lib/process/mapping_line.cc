#include "lib/process/mapping_line.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace pagelift {

std::optional<PageRange> ParseMappedPages(absl::string_view line) {
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(line.substr(0, line.find(' ')), '-');
  uint64_t start = 0;
  uint64_t limit = 0;
  if (!absl::SimpleHexAtoi(ends.first, &start) ||
      !absl::SimpleHexAtoi(ends.second, &limit) || start >= limit ||
      start % kPageSize != 0 || limit % kPageSize != 0) {
    return std::nullopt;
  }
  return PagesOf(start, limit);
}

std::optional<MappingLine> ParseMappingLine(absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::MaxSplits(' ', 5));
  const std::optional<PageRange> pages = ParseMappedPages(line);
  if (!pages.has_value() || fields.size() != 6 || fields[1].size() != 4) {
    return std::nullopt;
  }
  return MappingLine{*pages, fields[1], fields[3], fields[4],
                     absl::StripLeadingAsciiWhitespace(fields[5])};
}

}  // namespace pagelift
