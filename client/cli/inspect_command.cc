#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/human_units.h"
#include "lib/base/command_line.h"
#include "lib/base/json_string.h"
#include "lib/image/image_summary.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

std::string Size(PageCount pages) { return HumanBytes(pages.bytes()); }

std::string PagesJson(const PageSummary& pages) {
  return absl::StrFormat(
      "\"lazy_pages\":%u,\"parent_pages\":%u,\"remote_pages\":%u,"
      "\"eager_pages\":%u,\"zero_pages\":%u",
      pages.lazy.raw(), pages.parent.raw(), pages.remote.raw(),
      pages.eager.raw(), pages.zero.raw());
}

std::string Json(const ImageSummary& image) {
  std::vector<std::string> tasks;
  for (const TaskSummary& task : image.tasks) {
    tasks.push_back(absl::StrFormat(
        "{\"pid\":%d,\"ppid\":%d,\"comm\":%s,\"zombie\":%s,\"threads\":%u,"
        "\"mappings\":%u,\"lazy_regions\":%u,%s}",
        task.pid, task.ppid, JsonString(task.comm),
        task.zombie ? "true" : "false", task.threads, task.mappings,
        task.lazy_regions, PagesJson(task.pages)));
  }
  return absl::StrFormat(
      "{\"content_id\":%s,\"run_id\":%s,\"parent_images\":%u,\"sealed\":%s,%s,"
      "\"tasks\":[%s]}\n",
      JsonString(image.content_id), JsonString(image.run_id),
      image.parent_images, image.sealed ? "true" : "false",
      PagesJson(image.total), absl::StrJoin(tasks, ","));
}

std::string Row(const std::string& pid, const std::string& ppid,
                const std::string& comm, const std::string& threads,
                const std::string& regions, const PageSummary& pages) {
  return absl::StrFormat("%7s %7s %-16s %7s %7s %11s %11s %11s\n", pid, ppid,
                         comm, threads, regions, Size(pages.lazy),
                         Size(pages.eager), Size(pages.zero));
}

std::string Table(const ImageSummary& image) {
  std::string out = absl::StrFormat(
      "content id %s%s\n%7s %7s %-16s %7s %7s %11s %11s %11s\n",
      image.content_id, image.sealed ? ", sealed" : "", "PID", "PPID", "COMM",
      "THREADS", "REGIONS", "LAZY", "EAGER", "ZERO");
  for (const TaskSummary& task : image.tasks) {
    absl::StrAppend(&out, Row(absl::StrCat(task.pid), absl::StrCat(task.ppid),
                              task.zombie ? "(zombie)" : task.comm,
                              absl::StrCat(task.threads),
                              absl::StrCat(task.lazy_regions), task.pages));
  }
  absl::StrAppend(&out, Row("total", "", "", "", "", image.total));
  if (image.parent_images > 0) {
    absl::StrAppend(&out, Size(image.total.parent), " of the lazy memory in ",
                    image.parent_images, " parent image(s)\n");
  }
  if (image.total.remote != PageCount(0)) {
    absl::StrAppend(&out, Size(image.total.remote),
                    " of the lazy memory not here, but with a page server\n");
  }
  return out;
}

}  // namespace

int InspectCommand(int argc, const char* const argv[]) {
  std::string directory;
  bool json = false;
  CommandLine line("pagelift inspect", "Tells what a CRIU checkpoint holds.");
  line.Add({"json", 0, "", "one JSON object instead of a table", &json});
  line.AddPositional({"DIR", "the image directory", &directory});
  line.Examples(
      "LAZY memory is brought by the pager, EAGER memory by criu before the\n"
      "process runs, ZERO memory is not in the checkpoint.\n\n"
      "Examples:\n"
      "  pagelift inspect /ckpt\n"
      "  pagelift inspect --json /ckpt\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  absl::StatusOr<ImageSummary> image = SummarizeImage(directory);
  if (!image.ok()) {
    fprintf(stderr, "pagelift inspect: %s\n",
            std::string(image.status().message()).c_str());
    return 1;
  }
  fputs(json ? Json(*image).c_str() : Table(*image).c_str(), stdout);
  return 0;
}

}  // namespace pagelift
