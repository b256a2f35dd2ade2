#include "lib/image/dump_stats.h"

#include "criu/stats.pb.h"
#include "lib/base/status_macros.h"
#include "lib/image/image_file.h"

namespace pagelift {

absl::StatusOr<DumpStats> DecodeDumpStats(const std::string& name,
                                          std::string_view contents) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kStats));
  ASSIGN_OR_RETURN(const ImageRecord record, file.OnlyRecord());
  criu::Stats stats;
  RETURN_IF_ERROR(file.Decode(record, &stats));
  if (!stats.has_dump()) return file.Corrupt(record, "is not of a dump");
  return DumpStats{PageCount(stats.dump().pages_written()),
                   PageCount(stats.dump().shared_pages_written())};
}

}  // namespace pagelift
