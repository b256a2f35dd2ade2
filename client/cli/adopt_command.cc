#include <cstdio>
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/human_units.h"
#include "lib/base/command_line.h"
#include "lib/base/json_string.h"
#include "lib/image/adopt_dump.h"

namespace pagelift {
namespace {

std::string Json(const AdoptedDump& adopted) {
  return absl::StrFormat("{\"content_id\":%s,\"dump\":%s,\"pages\":%u}\n",
                         JsonString(adopted.content_id),
                         JsonString(adopted.dump), adopted.pages.raw());
}

std::string Text(const AdoptedDump& adopted, const std::string& checkpoint) {
  return absl::StrFormat("%s has the %s pages (%s) of %s; content id %s\n",
                         checkpoint, HumanCount(adopted.pages.raw()),
                         HumanBytes(adopted.pages.bytes()), adopted.dump,
                         adopted.content_id);
}

}  // namespace

int AdoptCommand(int argc, const char* const argv[]) {
  std::string images;
  std::string checkpoint;
  std::string dump;
  bool json = false;
  CommandLine line("pagelift adopt",
                   "Makes a checkpoint of pages that a sink received and of "
                   "the images that criu wrote beside them.");
  line.Add({"dump", 0, "DIR",
            "the dump that the sink received (default: the one beside "
            "CHECKPOINT that fits IMAGES)",
            &dump});
  line.Add({"json", 0, "", "one JSON object instead of a line", &json});
  line.AddPositional(
      {"IMAGES", "the --images-dir of criu dump --page-server", &images});
  line.AddPositional({"CHECKPOINT",
                      "the directory to make, on the sink's file system",
                      &checkpoint});
  line.Examples(
      "Only for a criu dump that has ended with 0. The dump's own directory "
      "goes, IMAGES\nstay.\n\n"
      "Exit codes: 0 made, 1 not made, 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift adopt /tmp/redis /checkpoints/redis\n"
      "  pagelift adopt --dump /checkpoints/dump-20260131-235959 \\\n"
      "      /tmp/redis /checkpoints/redis\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  const absl::StatusOr<AdoptedDump> adopted =
      AdoptDump(images, checkpoint, dump);
  if (!adopted.ok()) {
    fprintf(stderr, "pagelift adopt: %s\n",
            std::string(adopted.status().message()).c_str());
    return 1;
  }
  fputs(json ? Json(*adopted).c_str() : Text(*adopted, checkpoint).c_str(),
        stdout);
  return 0;
}

}  // namespace pagelift
