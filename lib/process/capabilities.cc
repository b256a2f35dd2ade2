#include "lib/process/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr int kWords = _LINUX_CAPABILITY_U32S_3;

// It takes a capability.
void DropFromBoundingSet(CapabilitySet kept) {
  for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; ++c) {
    if (!kept.Has(c)) prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
  }
}

absl::Status DropFromSetsOfThread(CapabilitySet kept) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[kWords];
  if (syscall(SYS_capget, &header, words) != 0) return SysError("capget");
  for (int i = 0; i < kWords; ++i) {
    const auto mask = static_cast<uint32_t>(kept.bits() >> (32 * i));
    words[i].effective &= mask;
    words[i].permitted &= mask;
    // What is not both permitted and inheritable is not ambient either.
    words[i].inheritable &= mask;
  }
  if (syscall(SYS_capset, &header, words) != 0) return SysError("capset");
  return absl::OkStatus();
}

CapabilitySet PermittedOf(const std::string& thread) {
  std::ifstream status(absl::StrCat(thread, "/status"));
  uint64_t bits = 0;
  for (std::string line; std::getline(status, line);) {
    absl::string_view value = line;
    if (!absl::ConsumePrefix(&value, "CapPrm:")) continue;
    (void)absl::SimpleHexAtoi(value, &bits);
  }
  return CapabilitySet::FromBits(bits);
}

absl::Status CheckThreads(CapabilitySet kept) {
  std::error_code error;
  // /proc/self has none once the first thread has ended.
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/thread-self/..", error)) {
    const CapabilitySet its = PermittedOf(thread.path());
    if ((its.bits() & ~kept.bits()) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("thread ", thread.path().filename().string(),
                       " of this process has other capabilities"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

CapabilitySet CapabilitySet::FromBits(uint64_t bits) {
  CapabilitySet set;
  set.bits_ = bits;
  return set;
}

CapabilitySet CapabilitySet::Effective() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[kWords] = {};
  if (syscall(SYS_capget, &header, words) != 0) return {};
  return FromBits(words[0].effective | uint64_t{words[1].effective} << 32);
}

absl::Status KeepCapabilities(CapabilitySet kept) {
  DropFromBoundingSet(kept);
  RETURN_IF_ERROR(DropFromSetsOfThread(kept));
  return CheckThreads(kept);
}

}  // namespace pagelift
