#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_STORED_DESCRIPTORS_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_STORED_DESCRIPTORS_H_

#include <vector>

namespace pagelift {

// The descriptors that a service manager gives to what it starts: those that it
// has kept for our predecessor, when that died with its worker, and sockets on
// which it listens for us. See sd_listen_fds(3) of systemd.
//
// What is kept has the name "pagelift.N", where N was its number, and gets that
// number again: so everything that names descriptors stays true, and nothing
// has to be translated. That of the HolderPage is "pagelift-page.N".
inline constexpr char kStoredPrefix[] = "pagelift.";
inline constexpr char kStoredPagePrefix[] = "pagelift-page.";

struct Given {
  struct Descriptor {
    int now = -1;   // Its number.
    int home = -1;  // What it is to be; -1: it was not kept for us.
    bool is_page = false;
  };
  std::vector<Descriptor> descriptors;
};

// What was given to this process, and to no other. Once only: nobody who is
// started by us, or takes our place, is told again.
Given TakeGiven();

// Gives those that have been kept their numbers, and the others any; all are
// closed by exec. One whose number is taken stays open, and has home -1.
void BringHome(Given& given);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_STORED_DESCRIPTORS_H_
