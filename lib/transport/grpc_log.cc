#include "lib/transport/grpc_log.h"

#include "grpc/support/log.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

LogLevel LevelOf(gpr_log_severity severity) {
  switch (severity) {
    case GPR_LOG_SEVERITY_DEBUG:
      return LogLevel::kDebug;
    case GPR_LOG_SEVERITY_INFO:
      return LogLevel::kInfo;
    case GPR_LOG_SEVERITY_ERROR:
      break;
  }
  return LogLevel::kError;
}

void Write(gpr_log_func_args* args) {
  const LogLevel level = LevelOf(args->severity);
  if (!LogEnabled(level)) return;
  LogLine(level, args->file, args->line).stream() << "grpc: " << args->message;
}

}  // namespace

void RouteGrpcLog() { gpr_set_log_function(&Write); }

}  // namespace pagelift
