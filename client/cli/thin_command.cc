#include <cstdio>
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/human_units.h"
#include "lib/base/command_line.h"
#include "lib/base/json_string.h"
#include "lib/image/thin_checkpoint.h"

namespace pagelift {
namespace {

uint64_t BytesBefore(const ThinCheckpoint& made) {
  return made.bytes + made.left_out.bytes();
}

std::string Json(const ThinCheckpoint& made) {
  return absl::StrFormat(
      "{\"content_id\":%s,\"bytes\":%u,\"bytes_before\":%u,"
      "\"left_out_pages\":%u,\"server_pages\":%u}\n",
      JsonString(made.content_id), made.bytes, BytesBefore(made),
      made.left_out.raw(), made.with_a_server.raw());
}

std::string Text(const ThinCheckpoint& made) {
  std::string text =
      absl::StrFormat("%s -> %s, %s pages stay with the page server\n",
                      HumanBytes(BytesBefore(made)), HumanBytes(made.bytes),
                      HumanCount(made.with_a_server.raw()));
  if (made.left_out == PageCount(0)) {
    text += "it was thin already: no page was here that a pager serves\n";
  }
  return text;
}

}  // namespace

int ThinCommand(int argc, const char* const argv[]) {
  std::string images;
  std::string out;
  bool json = false;
  CommandLine line("pagelift thin",
                   "Makes of a checkpoint what a restore host needs: all but "
                   "the pages that a page server sends.");
  line.Add({"json", 0, "", "one JSON object instead of a line", &json});
  line.AddPositional(
      {"IMAGES", "the checkpoint, which stays as it is", &images});
  line.AddPositional({"OUT", "the directory to make", &out});
  line.Examples(
      "OUT can be restored only with --source, from a page server that has all "
      "of the\ncheckpoint. It stands alone: parent images are not needed there."
      "\n\nExit codes: 0 made, 1 not made, 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift thin /ckpt/redis /tmp/redis\n"
      "  rsync -a /tmp/redis restore-host:/ckpt/\n"
      "  pagelift restore --images /ckpt/redis \\\n"
      "      --source grpcs://10.0.0.2:7077/redis\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  const absl::StatusOr<ThinCheckpoint> made = WriteThinCheckpoint(images, out);
  if (!made.ok()) {
    fprintf(stderr, "pagelift thin: %s\n",
            std::string(made.status().message()).c_str());
    return 1;
  }
  fputs(json ? Json(*made).c_str() : Text(*made).c_str(), stdout);
  return 0;
}

}  // namespace pagelift
