#ifndef PAGELIFT_CLIENT_CLI_WORKING_SET_REPORT_H_
#define PAGELIFT_CLIENT_CLI_WORKING_SET_REPORT_H_

#include <string>

#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

// A working set of an image of `image_pages` pages, for people, with the times
// of `zone`.
std::string WorkingSetTable(const WorkingSetSummary& working_set,
                            PageCount image_pages, absl::TimeZone zone);

// The same for machines: one JSON object on a line.
std::string WorkingSetJson(const WorkingSetSummary& working_set,
                           const std::string& content_id,
                           PageCount image_pages);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_WORKING_SET_REPORT_H_
