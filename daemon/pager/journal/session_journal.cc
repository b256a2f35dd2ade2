#include "daemon/pager/journal/session_journal.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/uffd/event.h"

namespace pagelift {

SessionJournal::SessionJournal(SharedMemory memory, SharedMapping header)
    : memory_(std::move(memory)), header_(std::move(header)) {}

absl::StatusOr<std::unique_ptr<SessionJournal>> SessionJournal::Create(
    PageCount image_pages) {
  ASSIGN_OR_RETURN(
      SharedMemory memory,
      SharedMemory::Create(
          kMemoryName,
          kSpacesAt + kMostSpaces * SpaceJournal::SizeFor(image_pages)));
  ASSIGN_OR_RETURN(SharedMapping header, memory.Map(0, kSpacesAt));
  std::unique_ptr<SessionJournal> journal(
      new SessionJournal(std::move(memory), std::move(header)));
  SessionRecord& record = journal->record();
  record.version = SessionRecord::kVersion;
  record.image_pages = image_pages.raw();
  record.listener = -1;
  record.handoff = -1;
  record.magic = SessionRecord::kMagic;
  return journal;
}

absl::StatusOr<std::unique_ptr<SessionJournal>> SessionJournal::Adopt(
    UniqueFd fd) {
  ASSIGN_OR_RETURN(SharedMemory memory, SharedMemory::Adopt(std::move(fd)));
  ASSIGN_OR_RETURN(SharedMapping header, memory.Map(0, kSpacesAt));
  std::unique_ptr<SessionJournal> journal(
      new SessionJournal(std::move(memory), std::move(header)));
  const SessionRecord& record = journal->record();
  if (record.magic != SessionRecord::kMagic ||
      record.version != SessionRecord::kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a session's journal is of version ", record.version,
        ", and this program knows version ", SessionRecord::kVersion));
  }
  return journal;
}

absl::Span<std::byte> SessionJournal::counters() const {
  return absl::MakeSpan(header_.data() + kCountersAt, kMostCounters);
}

size_t SessionJournal::PlaceOf(size_t index) const {
  return kSpacesAt + index * SpaceJournal::SizeFor(image_pages());
}

std::unique_ptr<SpaceJournal> SessionJournal::NewJournal() {
  size_t index;
  uint64_t sequence;
  {
    absl::MutexLock lock(&mu_);
    if (free_.empty() && used_ == kMostSpaces) {
      LOG(Error) << "no journal is free for another address space";
      return nullptr;
    }
    if (free_.empty()) {
      index = used_++;
    } else {
      index = free_.back();
      free_.pop_back();
    }
    sequence = next_sequence_++;
  }
  absl::StatusOr<SharedMapping> mapped =
      memory_.Map(PlaceOf(index), SpaceJournal::SizeFor(image_pages()));
  if (!mapped.ok()) {
    LOG(Error) << "no journal for an address space: " << mapped.status();
    absl::MutexLock lock(&mu_);
    free_.push_back(index);
    return nullptr;
  }
  SpaceRecord& record = slot(index);
  record.sequence = sequence;
  record.kept = 0;  // Whoever had it may have died over its end.
  return std::make_unique<SpaceJournal>(*this, record, *std::move(mapped),
                                        image_pages());
}

std::unique_ptr<SpaceJournal> SessionJournal::Add(const Space& space,
                                                  const SpaceLayout& layout) {
  std::unique_ptr<SpaceJournal> journal = NewJournal();
  if (journal != nullptr) Settle(*journal, space, layout);
  return journal;
}

std::unique_ptr<SpaceJournal> SessionJournal::Arrive(int uffd, pid_t pid,
                                                     int32_t image_pid) {
  std::unique_ptr<SpaceJournal> journal = NewJournal();
  if (journal == nullptr) return nullptr;
  SpaceRecord& record = journal->record();
  record.uffd = uffd;
  record.pidfd = -1;
  record.pid = pid;
  record.image_pid = image_pid;
  record.state.store(SpaceRecord::kArrived, std::memory_order_release);
  Keep(uffd, record.kept, SpaceRecord::kUserfaultFd);
  return journal;
}

void SessionJournal::Settle(SpaceJournal& journal, const Space& space,
                            const SpaceLayout& layout) {
  journal.StartWith(layout);
  SpaceRecord& record = journal.record();
  record.uffd = space.uffd;
  record.pidfd = space.pidfd;
  record.pid = space.pid;
  record.task = space.task;
  record.frozen = space.frozen ? 1 : 0;
  record.held = space.held ? 1 : 0;
  record.parent_pid = space.parent_pid;
  record.state.store(SpaceRecord::kLive, std::memory_order_release);
  Keep(space.pidfd, record.kept, SpaceRecord::kPidFd);
  if (WasKept(space.uffd)) record.kept |= SpaceRecord::kUserfaultFd;
  Keep(space.uffd, record.kept, SpaceRecord::kUserfaultFd);
}

void SessionJournal::KeepChild(int uffd) {
  if (!store_.has_value() || !store_->Keep(uffd)) return;
  absl::MutexLock lock(&mu_);
  kept_children_.insert(uffd);
}

bool SessionJournal::WasKept(int uffd) {
  absl::MutexLock lock(&mu_);
  return kept_children_.erase(uffd) != 0;
}

void SessionJournal::ForgetChild(int uffd) {
  if (WasKept(uffd)) store_->TakeOut(uffd);
}

void SessionJournal::Keep(int fd, std::atomic<uint32_t>& kept,
                          uint32_t bit) const {
  if (!store_.has_value() || fd < 0 || (kept & bit) != 0) return;
  if (store_->Keep(fd)) kept |= bit;
}

void SessionJournal::TakeOut(int fd, std::atomic<uint32_t>& kept,
                             uint32_t bit) const {
  if (!store_.has_value() || fd < 0) return;
  kept &= ~bit;
  store_->TakeOut(fd);
}

void SessionJournal::SetListener(int fd) {
  const int before = record().listener.exchange(fd);
  if (before != fd) TakeOut(before, record().kept, kListener);
  Keep(fd, record().kept, kListener);
}

void SessionJournal::SetHandoff(int fd) {
  const int before = record().handoff.exchange(fd);
  if (before != fd) TakeOut(before, record().kept, kHandoff);
  Keep(fd, record().kept, kHandoff);
}

void SessionJournal::KeepIn(const DescriptorStore& store) {
  store_ = store;
  std::atomic<uint32_t>& kept = record().kept;
  Keep(fd(), kept, kJournal);
  Keep(record().listener, kept, kListener);
  Keep(record().handoff, kept, kHandoff);
  ForEachOpen([this](size_t, SpaceRecord& space) {
    Keep(space.pidfd, space.kept, SpaceRecord::kPidFd);
    Keep(space.uffd, space.kept, SpaceRecord::kUserfaultFd);
  });
}

bool SessionJournal::Has(int uffd) const {
  absl::MutexLock lock(&mu_);
  for (size_t i = 0; i < used_; ++i) {
    const SpaceRecord& record = slot(i);
    if (record.is_open() && record.uffd == uffd) return true;
  }
  return false;
}

std::vector<int> SessionJournal::Descriptors() {
  std::vector<int> named = {fd(), record().listener, record().handoff};
  ForEachOpen([&](size_t index, const SpaceRecord& space) {
    named.push_back(space.uffd);
    named.push_back(space.pidfd);
    ForEachMessage(index, [&named](absl::Span<std::byte> message) {
      named.push_back(ChildNamedIn(message).value_or(-1));
    });
  });
  return named;
}

void SessionJournal::ForEachMessage(
    size_t index, absl::FunctionRef<void(absl::Span<std::byte>)> visit) {
  absl::StatusOr<SharedMapping> mapped =
      memory_.Map(PlaceOf(index), SpaceJournal::SizeFor(image_pages()));
  if (!mapped.ok()) return;
  const SpaceJournal journal(*this, slot(index), *std::move(mapped),
                             image_pages());
  for (size_t i = journal.applied(); i < journal.messages(); ++i) {
    visit(journal.raw().subspan(i * SpaceJournal::kMessageSize,
                                SpaceJournal::kMessageSize));
  }
}

void SessionJournal::Remove(SpaceJournal& space) {
  SpaceRecord& record = space.record();
  const size_t index = static_cast<size_t>(&record - &slot(0));
  memory_.Free(PlaceOf(index), SpaceJournal::SizeFor(image_pages()));
  record.state.store(SpaceRecord::kFree, std::memory_order_release);
  absl::MutexLock lock(&mu_);
  free_.push_back(index);
}

absl::StatusOr<std::vector<std::unique_ptr<SpaceJournal>>>
SessionJournal::Spaces() {
  std::vector<std::unique_ptr<SpaceJournal>> spaces;
  absl::MutexLock lock(&mu_);
  // One that was being closed has no memory any more that depends on us, and
  // whoever died over it has perhaps closed it: its number may be another's.
  for (size_t i = 0; i < kMostSpaces; ++i) {
    SpaceRecord& record = slot(i);
    next_sequence_ = std::max(next_sequence_, record.sequence + 1);
    if (record.state == SpaceRecord::kFree && record.sequence == 0) break;
    used_ = i + 1;
    if (!record.is_open()) {
      memory_.Free(PlaceOf(i), SpaceJournal::SizeFor(image_pages()));
      record.state = SpaceRecord::kFree;
      free_.push_back(i);
      continue;
    }
    ASSIGN_OR_RETURN(
        SharedMapping mapped,
        memory_.Map(PlaceOf(i), SpaceJournal::SizeFor(image_pages())));
    spaces.push_back(std::make_unique<SpaceJournal>(
        *this, record, std::move(mapped), image_pages()));
  }
  std::sort(spaces.begin(), spaces.end(), [](const auto& a, const auto& b) {
    return a->record().sequence < b->record().sequence;
  });
  return spaces;
}

}  // namespace pagelift
