#ifndef PAGELIFT_LIB_PROCESS_CRIU_LOG_H_
#define PAGELIFT_LIB_PROCESS_CRIU_LOG_H_

#include <optional>
#include <string>

namespace pagelift {

// The last complaints in a log of CRIU's, for an error message; empty if it
// has none, nothing if there is no such log.
std::optional<std::string> CriuComplaints(const std::string& log_path);

// What follows "criu restore failed" in an error message: what the log of a
// `criu` that has failed complains of, where the log is, if criu came as far as
// to write one, and what to try.
std::string ExplainCriuFailure(const std::string& criu,
                               const std::string& log_path);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_CRIU_LOG_H_
