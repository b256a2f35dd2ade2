#include "tests/bench/prefetch_sim/workload.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "tests/bench/prefetch_sim/trace_pages.h"

namespace pagelift::bench {
namespace {

absl::StatusOr<Trace> ReadTrace(const std::string& path) {
  std::ifstream file(path);
  if (!file) return SysError("open ", path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return ParseTrace(text);
}

std::vector<ImagePage> ImagePagesOf(const Trace& trace,
                                    const std::vector<PageId>& order) {
  const TracePages numbering(trace.pages);
  std::vector<ImagePage> pages;
  pages.reserve(order.size());
  for (PageId page : order) pages.push_back(numbering.ImageOf(page));
  return pages;
}

}  // namespace

absl::StatusOr<Workload> Workload::Load(const std::string& directory,
                                        const std::string& name) {
  Workload workload;
  workload.name = name;
  ASSIGN_OR_RETURN(workload.trace,
                   ReadTrace(absl::StrCat(directory, "/", name, "-1.tr")));
  ASSIGN_OR_RETURN(const Trace other,
                   ReadTrace(absl::StrCat(directory, "/", name, "-2.tr")));
  workload.recorded =
      ImagePagesOf(workload.trace, OrderOfTouches(other, workload.trace));
  workload.itself = ImagePagesOf(
      workload.trace, OrderOfTouches(workload.trace, workload.trace));
  return workload;
}

}  // namespace pagelift::bench
