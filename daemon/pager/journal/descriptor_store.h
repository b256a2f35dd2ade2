#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_DESCRIPTOR_STORE_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_DESCRIPTOR_STORE_H_

#include <string>

#include "daemon/pager/holder/holder_page.h"

namespace pagelift {

// Descriptors that the service manager keeps for whoever comes after us, if
// holder and worker die in the same instant: the store of descriptors of
// systemd. Does nothing if there is no manager.
//
// What is in the store under the number N has to be what has that number here.
// So a descriptor is to be journaled before it is kept, and taken out before it
// is closed. Both wait for the manager if it is slow, a second at most.
//
// A value; thread-safe.
class DescriptorStore {
 public:
  // `page` must outlive this and its copies.
  explicit DescriptorStore(HolderPage* page) : page_(page) {}

  // False, and told in the log, if the manager does not take it: it then dies
  // with us. One that it has already is as good.
  bool Keep(int fd) const;
  // If the manager cannot be told, what it keeps is worth nothing from now on,
  // and the page says so.
  void TakeOut(int fd) const;

 private:
  std::string NameOf(int fd) const;

  HolderPage* page_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_DESCRIPTOR_STORE_H_
