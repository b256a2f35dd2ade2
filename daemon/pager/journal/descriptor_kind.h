#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_DESCRIPTOR_KIND_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_DESCRIPTOR_KIND_H_

#include <sys/types.h>

#include <string>

namespace pagelift {

// What a number in a journal really is by now. All are false, and empty, if it
// is not open.

bool IsUserfaultFd(int fd);
bool IsSocket(int fd);
// Of the process that has this number, in our namespace, and is not reaped yet.
bool IsPidFdOf(int fd, pid_t pid);
// A memfd whose name begins so.
bool IsMemory(int fd, const char* name);

// Where the Unix socket `fd` is bound, or the one by which it was accepted;
// empty if it is nothing of that kind.
std::string BoundTo(int fd);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_DESCRIPTOR_KIND_H_
