#ifndef PAGELIFT_LIB_BASE_SEND_PIECES_H_
#define PAGELIFT_LIB_BASE_SEND_PIECES_H_

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "absl/types/span.h"

namespace pagelift {

// As sendmsg(2), of `pieces` and nothing else; no signal if the far end has
// gone.
inline ssize_t SendPieces(int socket, absl::Span<const iovec> pieces,
                          int flags) {
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_SEND_PIECES_H_
