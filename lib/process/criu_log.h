#ifndef PAGELIFT_LIB_PROCESS_CRIU_LOG_H_
#define PAGELIFT_LIB_PROCESS_CRIU_LOG_H_

#include <optional>
#include <string>

namespace pagelift {

// The last complaints in a log of CRIU's, for an error message; empty if it
// has none, nothing if there is no such log.
std::optional<std::string> CriuComplaints(const std::string& log_path);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_CRIU_LOG_H_
