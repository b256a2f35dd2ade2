#include "client/cli/working_set_report.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/human_units.h"
#include "lib/base/json_string.h"

namespace pagelift {
namespace {

std::string Share(PageCount pages, PageCount all) {
  const auto whole = static_cast<double>(std::max<uint64_t>(all.raw(), 1));
  return absl::StrFormat("%.1f%%",
                         100 * static_cast<double>(pages.raw()) / whole);
}

std::string Row(const std::string& name, PageCount pages, PageCount all,
                const std::string& when) {
  return absl::StrFormat("%-12s %9u %11s %7s  %s\n", name, pages.raw(),
                         HumanBytes(pages.bytes()), Share(pages, all), when);
}

}  // namespace

std::string WorkingSetTable(const WorkingSetSummary& working_set,
                            PageCount image_pages, absl::TimeZone zone) {
  std::string out;
  if (working_set.recordings.empty()) {
    out = "no recordings\n";
  } else {
    out = absl::StrFormat("%-12s %9s %11s %7s  %s\n", "RECORDING", "PAGES",
                          "MEMORY", "IMAGE", "KEPT SINCE");
    const char* name = "newest";
    for (const WorkingSetSummary::Kept& kept : working_set.recordings) {
      absl::StrAppend(
          &out, Row(name, kept.pages, image_pages,
                    absl::FormatTime("%Y-%m-%d %H:%M:%S", kept.kept, zone)));
      name = "older";
    }
  }
  if (working_set.recordings.size() > 1) {
    absl::StrAppend(&out, Row("shared by 2", working_set.shared, image_pages,
                              "brought first"));
  }
  if (!working_set.ignored.empty()) {
    absl::StrAppend(&out, "! ", working_set.ignored, "\n");
  }
  return out;
}

std::string WorkingSetJson(const WorkingSetSummary& working_set,
                           const std::string& content_id,
                           PageCount image_pages) {
  std::vector<std::string> recordings;
  for (const WorkingSetSummary::Kept& kept : working_set.recordings) {
    recordings.push_back(
        absl::StrFormat("{\"pages\":%u,\"kept_unix_seconds\":%d}",
                        kept.pages.raw(), absl::ToUnixSeconds(kept.kept)));
  }
  return absl::StrFormat(
      "{\"content_id\":%s,\"image_pages\":%u,\"shared_pages\":%u,"
      "\"ignored\":%s,\"recordings\":[%s]}\n",
      JsonString(content_id), image_pages.raw(), working_set.shared.raw(),
      JsonString(working_set.ignored), absl::StrJoin(recordings, ","));
}

}  // namespace pagelift
