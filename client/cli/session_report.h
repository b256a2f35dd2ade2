#ifndef PAGELIFT_CLIENT_CLI_SESSION_REPORT_H_
#define PAGELIFT_CLIENT_CLI_SESSION_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pagelift/v1/control.pb.h"

namespace pagelift {

// A session's status for people and for machines.

// A table with one line each, and what is wrong below it.
std::string SessionTable(const std::vector<v1::SessionStatus>& sessions);

// A few lines about one session, as `pagelift restore --wait` ends.
std::string SessionSummary(const v1::SessionStatus& session);

// " 63%  94.8 MiB left, 1234 faults": one line that is written over.
std::string ProgressLine(const v1::SessionStatus& session);

// One JSON object. Names are those of pagelift.v1.SessionStatus; latencies are
// under "fault_latency_us". `time_to_running_ms` is added if it is given.
std::string SessionJson(const v1::SessionStatus& session,
                        std::optional<uint64_t> time_to_running_ms = {});

// {"sessions": […]} of them, and a newline.
std::string SessionsJson(const std::vector<v1::SessionStatus>& sessions);
// The same, and how the daemon is.
std::string StatusJson(const std::vector<v1::SessionStatus>& sessions,
                       const v1::DaemonStatus& daemon);
// What people should know of the daemon, a line; empty if there is nothing.
std::string DaemonLine(const v1::DaemonStatus& daemon);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_SESSION_REPORT_H_
