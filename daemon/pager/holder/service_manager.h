#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_SERVICE_MANAGER_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_SERVICE_MANAGER_H_

namespace pagelift {

// The service manager that has started this process, if it wants to be told
// things, as sd_notify(3) of systemd describes the protocol. Uses libc only.
//
// Thread-safe.

// Sends `state`, lines of VARIABLE=value, and `fd` with it unless that is
// negative. Waits if it has to, a second at most. False if nobody wants to know
// or, with errno other than 0, if it could not be sent.
bool TellServiceManager(const char* state, int fd = -1);

// Whether somebody wants to know.
bool HasServiceManager();

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_SERVICE_MANAGER_H_
