#include "daemon/pager/journal/session_journals.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/pager/holder/open_descriptors.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

// What the descriptor is, as /proc tells; empty if it is not open.
std::string WhatIs(int fd) {
  char target[64];
  const std::string path = absl::StrCat("/proc/thread-self/fd/", fd);
  const ssize_t length = readlink(path.c_str(), target, sizeof(target));
  return std::string(target, length < 0 ? 0 : static_cast<size_t>(length));
}
bool IsUserfaultFd(int fd) { return WhatIs(fd) == "anon_inode:[userfaultfd]"; }
bool IsSessionJournal(int fd) {
  return absl::StartsWith(WhatIs(fd),
                          absl::StrCat("/memfd:", SessionJournal::kMemoryName));
}

// Where the Unix socket `fd` is bound, or the one by which it was accepted;
// empty if it is nothing of that kind.
std::string BoundTo(int fd) {
  sockaddr_un address = {};
  socklen_t size = sizeof(address);
  if (fd < 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sun_family != AF_UNIX ||
      size <= offsetof(sockaddr_un, sun_path)) {
    return "";
  }
  return std::string(
      address.sun_path,
      strnlen(address.sun_path, size - offsetof(sockaddr_un, sun_path)));
}

bool IsInherited(const HolderPage& page, int fd) {
  struct stat file;
  if (fstat(fd, &file) != 0) return false;
  return std::any_of(std::begin(page.inherited), std::end(page.inherited),
                     [&](const HolderPage::Inherited& entry) {
                       return entry.descriptor == fd &&
                              entry.device == file.st_dev &&
                              entry.inode == file.st_ino;
                     });
}

// A connection that somebody has accepted who had no time to write that down.
bool IsAcceptedBy(
    int fd, const std::vector<std::unique_ptr<SessionJournal>>& journals) {
  const std::string place = BoundTo(fd);
  if (place.empty()) return false;
  for (const std::unique_ptr<SessionJournal>& journal : journals) {
    SessionRecord& record = journal->record();
    if (record.handoff < 0 && BoundTo(record.listener) == place) {
      record.handoff = fd;
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::unique_ptr<SessionJournal>> SessionJournals::TakeOver() {
  std::vector<std::unique_ptr<SessionJournal>> journals;
  if (page_ == nullptr) return journals;
  std::set<int> needed = {page_->descriptor, page_->library,
                          page_->control - 1};
  for (std::atomic<int32_t>& place : page_->sessions) {
    if (place == 0) continue;
    const int fd = place - 1;
    // Else it was being closed, and the number may be another's by now.
    if (!IsSessionJournal(fd)) {
      place = 0;
      continue;
    }
    absl::StatusOr<std::unique_ptr<SessionJournal>> journal =
        SessionJournal::Adopt(UniqueFd(fd));
    // Its targets wait until a worker comes that can read it.
    CHECK(journal.ok()) << journal.status();
    needed.insert(fd);
    for (int named : (*journal)->Descriptors()) needed.insert(named);
    journals.push_back(*std::move(journal));
  }
  for (int fd : OpenDescriptors()) {
    if (needed.count(fd) > 0 || IsInherited(*page_, fd)) continue;
    if (IsAcceptedBy(fd, journals)) continue;
    if (!IsUserfaultFd(fd)) {
      close(fd);
      continue;
    }
    // A fork's whose event was read is in a journal as a message; another is
    // one that was being closed, or of a restore that is told to begin again.
    LOG(Warning) << "userfaultfd " << fd << " is in no journal, and stays open";
  }
  return journals;
}

uint64_t SessionJournals::NextNumber() {
  return page_ == nullptr ? next_number_++ : page_->next_session++;
}

absl::Status SessionJournals::Enter(const SessionJournal& journal) {
  if (page_ == nullptr) return absl::OkStatus();
  for (std::atomic<int32_t>& place : page_->sessions) {
    int32_t nobody = 0;
    if (place.compare_exchange_strong(nobody, journal.fd() + 1)) {
      return absl::OkStatus();
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("there are ", HolderPage::kMostSessions, " sessions"));
}

void SessionJournals::Forget(int descriptor) {
  if (page_ == nullptr) return;
  for (std::atomic<int32_t>& place : page_->sessions) {
    int32_t ours = descriptor + 1;
    if (place.compare_exchange_strong(ours, 0)) return;
  }
}

}  // namespace pagelift
