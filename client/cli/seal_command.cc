#include <cstdio>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/digest_source.h"
#include "client/cli/human_units.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/image/page_seal.h"

namespace pagelift {
namespace {

absl::StatusOr<DigestedSource> Seal(const std::string& directory) {
  ASSIGN_OR_RETURN(DigestedSource image,
                   DigestSource(absl::StrCat("criu:", directory)));
  const PageDigests& digests = image.digests;
  if (!digests.lost.empty()) {
    return absl::DataLossError(absl::StrCat(
        digests.lost.size(), " pages are lost, and nothing was sealed: ",
        digests.why_lost, "; if they are to be sealed as they are, remove ",
        directory, "/", PageSeal::kName, " first"));
  }
  RETURN_IF_ERROR(PageSeal::Write(directory, image.content_id, digests.pages));
  return image;
}

}  // namespace

int SealCommand(int argc, const char* const argv[]) {
  std::string directory;
  CommandLine line("pagelift seal",
                   "Notes what each page of a checkpoint holds, so that damage "
                   "is noticed later.");
  line.AddPositional(
      {"DIR", "the image directory of the checkpoint", &directory});
  line.Examples(
      "Seal right after the dump, and copy the directory with its seal. From "
      "then on\nwhoever reads the pages takes one that has changed for lost.\n"
      "\nExit codes: 0 sealed, 1 pages are lost, or it could not be written, 2 "
      "wrong\nusage.\n\n"
      "Example:\n"
      "  pagelift seal /ckpt/redis\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  const absl::StatusOr<DigestedSource> sealed = Seal(directory);
  if (!sealed.ok()) {
    fprintf(stderr, "pagelift seal: %s\n",
            std::string(sealed.status().message()).c_str());
    return 1;
  }
  const PageCount pages(sealed->digests.pages.size());
  printf("sealed %s in %zu pages; content id %s, pages %s\n",
         HumanBytes(pages.bytes()).c_str(), pages.raw(),
         sealed->content_id.c_str(), sealed->digests.OfAll().c_str());
  return 0;
}

}  // namespace pagelift
