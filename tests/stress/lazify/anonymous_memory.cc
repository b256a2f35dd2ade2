#include "tests/stress/lazify/anonymous_memory.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/status_macros.h"
#include "lib/process/pagemap.h"

namespace pagelift::stress {
namespace {

// "start-limit perms offset device inode name". Nothing if it is not the first
// line of a private anonymous mapping.
bool ParseFirstLine(absl::string_view line, AnonymousMapping* mapping) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, ' ', absl::SkipEmpty());
  if (words.size() < 5 || words[1].size() != 4) return false;
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(words[0], '-');
  uint64_t start = 0;
  uint64_t limit = 0;
  if (!absl::SimpleHexAtoi(ends.first, &start) ||
      !absl::SimpleHexAtoi(ends.second, &limit)) {
    return false;
  }
  const absl::string_view name = words.size() > 5 ? words[5] : "";
  mapping->pages = PagesOf(start, limit);
  mapping->is_stack = name == "[stack]";
  return words[1][3] == 'p' && words[4] == "0" &&
         (name.empty() || name == "[heap]" || name == "[stack]" ||
          absl::StartsWith(name, "[anon:"));
}

void AppendPage(PageId page, std::vector<PageRange>& ranges) {
  if (!ranges.empty() && ranges.back().limit() == page) {
    ranges.back().count = ranges.back().count + PageCount(1);
  } else {
    ranges.push_back({page, PageCount(1)});
  }
}

absl::Status FindPages(const Pagemap& pagemap, AnonymousMapping& mapping) {
  ASSIGN_OR_RETURN(std::vector<PageEntry> entries, pagemap.Read(mapping.pages));
  for (size_t i = 0; i < entries.size(); ++i) {
    const PageId page = mapping.pages.first + PageCount(i);
    if (entries[i] == PageEntry::kPage) AppendPage(page, mapping.present);
    if (entries[i] == PageEntry::kMarked) AppendPage(page, mapping.marked);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<AnonymousMapping> ParseAnonymousMappings(std::string_view smaps) {
  std::vector<AnonymousMapping> mappings;
  AnonymousMapping mapping;
  bool is_anonymous = false;
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(smaps.data(), smaps.size()), '\n')) {
    if (!line.empty() && absl::ascii_isxdigit(line[0]) &&
        !absl::ascii_isupper(line[0])) {
      mapping = AnonymousMapping();
      is_anonymous = ParseFirstLine(line, &mapping);
    } else if (absl::StartsWith(line, "VmFlags:") && is_anonymous &&
               !absl::StrContains(line, " lo") &&
               !absl::StrContains(line, " ht")) {
      mappings.push_back(std::move(mapping));
      is_anonymous = false;
    }
  }
  return mappings;
}

absl::StatusOr<std::vector<AnonymousMapping>> AnonymousMemoryOf(
    const StoppedProcess& process) {
  std::ifstream smaps(absl::StrCat("/proc/", process.pid(), "/smaps"));
  const std::string text{std::istreambuf_iterator<char>(smaps), {}};
  std::vector<AnonymousMapping> mappings = ParseAnonymousMappings(text);
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(process.pid()));
  for (AnonymousMapping& mapping : mappings) {
    RETURN_IF_ERROR(FindPages(pagemap, mapping));
  }
  return mappings;
}

}  // namespace pagelift::stress
