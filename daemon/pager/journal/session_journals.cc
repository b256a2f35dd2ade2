#include "daemon/pager/journal/session_journals.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/pager/holder/open_descriptors.h"
#include "daemon/pager/journal/descriptor_kind.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

bool IsSessionJournal(int fd) {
  return IsMemory(fd, SessionJournal::kMemoryName);
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

// Whether the target of a userfaultfd, which stays whose it is, is gone.
bool IsOfNobody(int fd) {
  UniqueFd borrowed(fd);
  absl::StatusOr<UserfaultFd> uffd = UserfaultFd::Adopt(std::move(borrowed));
  // What lies there does not matter.
  constexpr PageId kAnyPage{1 << 16};
  const bool is =
      uffd.ok() && uffd->Probe(kAnyPage) == Registration::kTargetGone;
  (void)(uffd.ok() ? std::move(*uffd).Release() : std::move(borrowed))
      .release();
  return is;
}

// Until the holder has no descriptor for a moment: see HolderPage. One that has
// died has none either.
void AwaitLook(const HolderPage& page) {
  while (page.worker_may_look == 0 && page.holder == getppid()) {
    absl::SleepFor(absl::Microseconds(100));
  }
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
  AwaitLook(*page_);
  const absl::Cleanup looked = [this] { page_->worker_has_looked = 1; };
  const bool restored = page_->restored != 0;
  if (restored && !IsSocket(page_->control - 1)) page_->control = 0;
  std::set<int> needed = {page_->descriptor, page_->library, page_->lock,
                          page_->control - 1};
  for (std::atomic<int32_t>& place : page_->sessions) {
    if (place == 0) continue;
    const int fd = place - 1;
    // Else it was being closed, and the number may be another's by now.
    if (!IsSessionJournal(fd)) {
      if (restored) {
        LOG(Error) << "the service manager has lost a session: its targets "
                      "wait for ever";
      }
      place = 0;
      continue;
    }
    absl::StatusOr<std::unique_ptr<SessionJournal>> journal =
        SessionJournal::Adopt(UniqueFd(fd));
    // Its targets wait until a worker comes that can read it.
    CHECK(journal.ok()) << journal.status();
    if (restored) (*journal)->CheckRestored(page_->store_is_wrong == 0);
    needed.insert(fd);
    for (int named : (*journal)->Descriptors()) needed.insert(named);
    journals.push_back(*std::move(journal));
  }
  for (int fd : OpenDescriptors()) {
    if (needed.count(fd) > 0 || IsInherited(*page_, fd)) continue;
    if (IsAcceptedBy(fd, journals)) continue;
    if (!IsUserfaultFd(fd)) {
      store_.TakeOut(fd);
      close(fd);
      continue;
    }
    // One that was being closed, or of a restore that is told to begin again.
    // Who lives without it is not known: closed too early, it would be zeros.
    LOG(Warning) << "userfaultfd " << fd
                 << " is in no journal, and stays open while its target lives";
    absl::MutexLock lock(&mu_);
    leftovers_.push_back(fd);
  }
  CloseLeftovers();
  page_->restored = 0;
  store_.Keep(page_->descriptor);
  for (const std::unique_ptr<SessionJournal>& journal : journals) {
    journal->KeepIn(store_);
  }
  return journals;
}

void SessionJournals::CloseLeftovers() {
  absl::MutexLock lock(&mu_);
  const auto of_nobody = std::partition(leftovers_.begin(), leftovers_.end(),
                                        [](int fd) { return !IsOfNobody(fd); });
  for (auto fd = of_nobody; fd != leftovers_.end(); ++fd) {
    store_.TakeOut(*fd);
    close(*fd);
  }
  leftovers_.erase(of_nobody, leftovers_.end());
}

uint64_t SessionJournals::NextNumber() {
  return page_ == nullptr ? next_number_++ : page_->next_session++;
}

absl::Status SessionJournals::Enter(SessionJournal& journal) {
  if (page_ == nullptr) return absl::OkStatus();
  for (std::atomic<int32_t>& place : page_->sessions) {
    int32_t nobody = 0;
    if (place.compare_exchange_strong(nobody, journal.fd() + 1)) {
      journal.KeepIn(store_);
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
    if (!place.compare_exchange_strong(ours, 0)) continue;
    store_.TakeOut(descriptor);
    return;
  }
}

}  // namespace pagelift
