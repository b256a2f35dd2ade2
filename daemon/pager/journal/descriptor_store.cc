#include "daemon/pager/journal/descriptor_store.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/pager/holder/service_manager.h"
#include "daemon/pager/holder/stored_descriptors.h"
#include "lib/base/log.h"
#include "lib/base/sys_error.h"

namespace pagelift {

std::string DescriptorStore::NameOf(int fd) const {
  return absl::StrCat(
      fd == page_->descriptor ? kStoredPagePrefix : kStoredPrefix, fd);
}

bool DescriptorStore::Keep(int fd) const {
  if (fd < 0 || !HasServiceManager()) return true;
  // Not polled: a userfaultfd that looks broken to poll(2) would be dropped.
  const std::string state =
      absl::StrCat("FDSTORE=1\nFDPOLL=0\nFDNAME=", NameOf(fd));
  if (TellServiceManager(state.c_str(), fd)) return true;
  LOG(Error) << SysError("give a descriptor to the service manager")
             << "; if this daemon is killed with its holder it is lost";
  return false;
}

void DescriptorStore::TakeOut(int fd) const {
  if (fd < 0 || !HasServiceManager()) return;
  const std::string state =
      absl::StrCat("FDSTOREREMOVE=1\nFDNAME=", NameOf(fd));
  if (TellServiceManager(state.c_str())) return;
  LOG(Error) << SysError("take a descriptor back from the service manager");
  page_->store_is_wrong = 1;
}

}  // namespace pagelift
