#include "lib/process/sandbox_mode.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace pagelift {

Option SandboxOption(SandboxMode* mode) {
  return {"sandbox", 0, "MODE",
          "on: refuse this process what serving does not need (default); "
          "strict, for tests: end it if it tries; off, to debug it",
          [mode](const std::string& value) {
            static constexpr std::pair<const char*, SandboxMode> kModes[] = {
                {"on", SandboxMode::kOn},
                {"strict", SandboxMode::kStrict},
                {"off", SandboxMode::kOff},
            };
            for (const auto& [name, candidate] : kModes) {
              if (value != name) continue;
              *mode = candidate;
              return absl::OkStatus();
            }
            return absl::InvalidArgumentError(
                absl::StrCat("'", value, "' is not on, strict or off"));
          }};
}

}  // namespace pagelift
