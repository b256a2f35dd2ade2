#ifndef PAGELIFT_LIB_PROCESS_MAPPING_LINE_H_
#define PAGELIFT_LIB_PROCESS_MAPPING_LINE_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "lib/memory/page.h"

namespace pagelift {

// "7f0000000000-7f0000001000" at the beginning of a line of /proc/PID/maps, or
// of one that begins a mapping in smaps. Nothing if it is another kind of line:
// those start with a name in capitals and a colon.
std::optional<PageRange> ParseMappedPages(absl::string_view line);

// All of such a line (proc(5)); parts of its text.
struct MappingLine {
  PageRange pages;
  absl::string_view permissions;  // "rw-p"
  absl::string_view device;       // "00:00": of no file.
  absl::string_view inode;
  absl::string_view name;  // A path, "[heap]"; or empty.
};
std::optional<MappingLine> ParseMappingLine(absl::string_view line);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_MAPPING_LINE_H_
