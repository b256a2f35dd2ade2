#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_START_RECEIVER_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_START_RECEIVER_H_

namespace pagelift {

// Starts the program that takes migrations to this host, `pagelift-server
// receive` beside this one with the same command line, if that asks for it and
// it does not run already. It needs the rights that pageliftd gives up. Returns
// when it serves; false if it does not, and has said why.
bool StartReceiver(int argc, char* argv[]);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_START_RECEIVER_H_
