#include "daemon/pager/holder/rights.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace pagelift {
namespace {

// A worker parses the command line; this much of it has to be known earlier.
bool IsToBeConfined(int argc, char* const argv[]) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // The leak checker cannot look at our threads otherwise.
  return false;
#endif
  bool confined = true;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--sandbox") == 0 && i + 1 < argc) {
      confined = strcmp(argv[++i], "off") != 0;
    } else if (strncmp(argv[i], "--sandbox=", 10) == 0) {
      confined = strcmp(argv[i] + 10, "off") != 0;
    }
  }
  return confined;
}

}  // namespace

void GiveUpRights(int argc, char* const argv[]) {
  if (!IsToBeConfined(argc, argv)) return;
  // Whether this went well the worker will see, and say.
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  uint64_t kept = 0;
  for (int capability : kWorkerCapabilities) kept |= uint64_t{1} << capability;
  for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; ++c) {
    if (((kept >> c) & 1) != 0) continue;
    prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, words) != 0) return;
  for (auto& word : words) {
    word.effective &= static_cast<uint32_t>(kept);
    word.permitted &= static_cast<uint32_t>(kept);
    word.inheritable &= static_cast<uint32_t>(kept);
    kept >>= 32;
  }
  // What is not permitted and inheritable is not ambient either.
  syscall(SYS_capset, &header, words);
}

}  // namespace pagelift
