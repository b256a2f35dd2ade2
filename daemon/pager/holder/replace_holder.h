#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_REPLACE_HOLDER_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_REPLACE_HOLDER_H_

#include "daemon/pager/holder/holder_page.h"

namespace pagelift {

// The variable in which a holder is told where the page of its predecessor is.
inline constexpr char kPageVariable[] = "PAGELIFT_HOLDER_PAGE";

// Turns this process into a holder that runs `program` and goes on with all
// descriptors that are open. Returns, with errno, only if that is not possible.
// REQUIRES: nobody shares our descriptors, and there is no other thread.
void BecomeHolder(const char* program, char* argv[], const HolderPage& page);

// The same for a worker whose holder has died, from any of its threads: they
// all end, and a process that was made from this one becomes the holder. A
// descriptor that another thread has just got, of a child that a target has
// forked for example, is not lost. Returns, with errno, only if that process
// cannot be made.
void ReplaceHolder(const char* program, char* argv[], const HolderPage& page);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_REPLACE_HOLDER_H_
