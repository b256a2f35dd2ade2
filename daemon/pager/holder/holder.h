#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_HOLDER_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_HOLDER_H_

namespace pagelift {

// pageliftd's first process: keeps open what must not be closed, whatever
// becomes of the worker, which does all the work and shares our descriptors.
// When it dies another one is started, which goes on where it stopped.
//
// Does nothing else: it reads no file, no socket and no message, and uses libc
// only (a test holds that line). Ends when the worker has ended in peace, with
// its exit code. REQUIRES: no other thread.
int RunHolder(int argc, char* argv[]);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_HOLDER_H_
