#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_REPLACE_HOLDER_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_REPLACE_HOLDER_H_

#include "daemon/pager/holder/holder_page.h"

namespace pagelift {

// The variable in which a holder is told where the page of its predecessor is.
inline constexpr char kPageVariable[] = "PAGELIFT_HOLDER_PAGE";

// Turns this process into a holder that runs `program` and goes on with all
// descriptors that are open. Returns, with errno, only if that is not possible.
void BecomeHolder(const char* program, char* argv[], const HolderPage& page);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_REPLACE_HOLDER_H_
