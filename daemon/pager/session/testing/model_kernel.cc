#include "daemon/pager/session/testing/model_kernel.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

constexpr size_t kKeptLines = 80;

std::string Text(PageRange range) {
  std::ostringstream out;
  out << range.first.raw() - ModelKernel::kBase.raw() << "+"
      << range.count.raw();
  return out.str();
}

std::string Text(const Event& event) {
  if (const auto* remapped = std::get_if<Remapped>(&event)) {
    return absl::StrCat("remap ", Text(remapped->from), " to ",
                        remapped->to.raw() - ModelKernel::kBase.raw());
  }
  if (const auto* removed = std::get_if<Removed>(&event)) {
    return absl::StrCat("remove ", Text(removed->range));
  }
  if (const auto* unmapped = std::get_if<Unmapped>(&event)) {
    return absl::StrCat("unmap ", Text(unmapped->range));
  }
  return std::holds_alternative<Forked>(event) ? "fork" : "fault";
}

}  // namespace

// Forwards to the model; gone means closed.
class ModelMemory : public TargetMemory {
 public:
  explicit ModelMemory(std::shared_ptr<ModelKernel> kernel)
      : kernel_(std::move(kernel)) {}
  ~ModelMemory() override { kernel_->Close(); }

  absl::StatusOr<absl::Span<Event>> ReadEvents(EventBuffer&) override {
    return kernel_->ReadEvents();
  }
  std::unique_ptr<TargetMemory> OfForkedChild(UniqueFd child) override {
    return kernel_->OfForkedChild(std::move(child));
  }
  InstallResult Copy(PageId first, absl::Span<const std::byte> pages,
                     WakeMode wake) override {
    std::vector<uint64_t> values;
    for (size_t at = 0; at < pages.size(); at += kPageSize) {
      values.push_back(ModelValue(pages.data() + at));
    }
    return kernel_->Install({first, PageCount(values.size())}, values, wake);
  }
  InstallResult Zero(PageRange range, WakeMode wake) override {
    return kernel_->Install(range, std::vector<uint64_t>(range.count.raw()),
                            wake);
  }
  InstallResult Poison(PageRange, WakeMode) override {
    CHECK(false) << "nothing is lost in the model";
    return {};
  }
  absl::Status Wake(PageRange range) override {
    kernel_->Wake(range);
    return absl::OkStatus();
  }
  absl::StatusOr<OperationSet> Register(PageRange, FaultKinds) override {
    CHECK(false) << "nothing is locked in the model";
    return OperationSet();
  }
  absl::Status Unregister(PageRange range) override {
    kernel_->Unregister(range);
    return absl::OkStatus();
  }
  Registration Probe(PageId page) override { return kernel_->Probe(page); }
  absl::StatusOr<RegisteredRanges> MappingsOf(pid_t) override {
    return kernel_->Mappings();
  }
  int fd() const override { return kernel_->fd_.get(); }

 private:
  const std::shared_ptr<ModelKernel> kernel_;
};

void ModelTrace::Say(std::string line) {
  if (failed()) return;
  lines_.push_back(std::move(line));
  if (lines_.size() > kKeptLines) lines_.pop_front();
}

void ModelTrace::Fail(std::string what) {
  if (!failed()) failure_ = std::move(what);
}

std::string ModelTrace::Report() const {
  std::string report = absl::StrCat(failure_, "\n");
  for (const std::string& line : lines_) {
    absl::StrAppend(&report, "  ", line, "\n");
  }
  return report;
}

std::array<std::byte, kPageSize> ModelBytes(uint64_t value) {
  std::array<std::byte, kPageSize> bytes = {};
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

uint64_t ModelValue(const std::byte* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

ModelKernel::ModelKernel(std::mt19937& random, ModelTrace& trace, uint64_t lazy,
                         uint64_t registered)
    : random_(random), trace_(trace), fd_(eventfd(0, EFD_CLOEXEC)) {
  for (uint64_t i = 0; i < registered; ++i) {
    pages_[i].mapping = 1;
    pages_[i].registered = true;
    pages_[i].truth = i < lazy ? i + 1 : 0;
  }
}

std::unique_ptr<TargetMemory> ModelKernel::Memory() {
  return std::make_unique<ModelMemory>(shared_from_this());
}

std::string ModelKernel::Name(size_t thread) const {
  return absl::StrCat(name_, "/", thread);
}

bool ModelKernel::idle() const {
  return std::all_of(threads_.begin(), threads_.end(),
                     [](const Thread& t) { return t.state == State::kIdle; });
}

std::string ModelKernel::Unfinished() const {
  std::string report = absl::StrCat(name_, ":");
  if (!running_) absl::StrAppend(&report, " does not run yet");
  if (changing_ > 0) absl::StrAppend(&report, " changing ", changing_);
  for (const Thread& thread : threads_) {
    if (thread.state == State::kIdle) continue;
    absl::StrAppend(&report, " ", &thread - threads_.data(), " ",
                    thread.state == State::kAccess   ? "accesses "
                    : thread.state == State::kFaults ? "waits at "
                                                     : "changes, last page ",
                    thread.page);
  }
  return report;
}

std::vector<std::shared_ptr<ModelKernel>> ModelKernel::TakeChildren() {
  return std::exchange(children_, {});
}

// --- Threads -----------------------------------------------------------------

void ModelKernel::Step(size_t number) {
  if (!running_) return;
  Thread& thread = threads_[number];
  switch (thread.state) {
    case State::kIdle:
      if (begins_) Begin(number);
      return;
    case State::kAccess:
      return Access(number);
    case State::kFaults:
    case State::kWaits:
      return;
    case State::kTells:
      told_.push_back(number);
      thread.state = State::kWaits;
      trace_.Say(absl::StrCat(Name(number), " waits for ",
                              Text(thread.events.front())));
      return;
    case State::kGoesOn:
      return GoOn(number);
  }
}

void ModelKernel::Begin(size_t number) {
  Thread& thread = threads_[number];
  const uint64_t dice = Below(100);
  if (dice < 45) {
    thread.page = Below(kPages);
    thread.writes = dice < 10;
    thread.state = State::kAccess;
    return Access(number);
  }
  const std::optional<PageRange> mapped = PickRun(8, true);
  if (!mapped.has_value()) return;
  const uint64_t first = IndexOf(mapped->first);
  const uint64_t count = mapped->count.raw();
  std::string what;
  if (dice < 55) {
    what = absl::StrCat("discards ", Text(*mapped));
    trace_.Say(absl::StrCat(Name(number), " ", what));
    Discard(thread, first, count);
  } else if (dice < 65) {
    const bool anew = Below(2) == 0;
    trace_.Say(absl::StrCat(Name(number), anew ? " maps over " : " unmaps ",
                            Text(*mapped)));
    Unmap(thread, first, count, anew);
  } else if (dice < 90) {
    // The kernel takes free addresses by itself; over mapped ones only a
    // program moves that knows them.
    const std::optional<PageRange> to = PickRun(8, Below(3) == 0);
    if (!to.has_value() || to->Overlaps(*mapped)) return;
    if (!known_ && mapped->count < to->count) return;
    const bool keep_old = Below(4) == 0 && to->count == mapped->count;
    trace_.Say(absl::StrCat(Name(number), " moves ", Text(*mapped), " to ",
                            Text(*to), keep_old ? ", keeps the old" : ""));
    Move(thread, first, count, IndexOf(to->first), to->count.raw(), keep_old);
  } else if (dice < 94 && known_) {
    Grow(first + count - 1);
  } else if (dice < 96 && known_) {
    // Of one mapping only.
    const uint32_t mapping = pages_[first].mapping;
    for (uint64_t i = first; i < first + count && pages_[i].mapping == mapping;
         ++i) {
      pages_[i].wipe_on_fork = !pages_[i].wipe_on_fork;
      pages_[i].mapping = next_mapping_;
    }
    ++next_mapping_;
  } else if (dice < 98 && !closed_ && changing_ == 0 && name_.size() < 5) {
    // A fork that overlaps another thread's change: docs/correctness.md.
    trace_.Say(absl::StrCat(Name(number), " forks"));
    Fork(thread);
    Step(number);
  }
}

void ModelKernel::Access(size_t number) {
  Thread& thread = threads_[number];
  Page& page = pages_[thread.page];
  thread.state = State::kIdle;
  if (page.mapping == 0) return;  // SIGSEGV.
  if (!page.contents.has_value() && page.registered && !closed_) {
    thread.state = State::kFaults;
    thread.fault_was_read = false;
    trace_.Say(absl::StrCat(Name(number), " faults at ", thread.page));
    return;
  }
  if (!page.contents.has_value()) page.contents = 0;
  Expect(thread.page, *page.contents, absl::StrCat(Name(number), " reads"));
  if (thread.writes) {
    page.truth = next_value_++;
    page.contents = page.truth;
  }
}

void ModelKernel::Expect(uint64_t page, uint64_t value,
                         const std::string& who) {
  const Page& at = pages_[page];
  if (value == at.truth || (at.discards > 0 && value == 0)) return;
  // A discard is not a moment: what is installed until its end goes with it.
  trace_.Fail(
      absl::StrCat(who, " page ", page, ": ", value, " instead of ", at.truth));
}

void ModelKernel::Discard(Thread& thread, uint64_t first, uint64_t count) {
  for (uint64_t i = first; i < first + count; ++i) {
    pages_[i].busy = true;
    thread.busy.push_back(i);
    ++pages_[i].discards;
  }
  thread.discards = true;
  if (AnyRegistered(first, count)) {
    // Unlike the others, it tells first.
    Tell(thread, Removed{RangeOf(first, count)});
  } else {
    thread.state = State::kGoesOn;
  }
}

void ModelKernel::Unmap(Thread& thread, uint64_t first, uint64_t count,
                        bool map_anew) {
  const bool registered = AnyRegistered(first, count);
  for (uint64_t i = first; i < first + count; ++i) {
    Free(i);
    if (!map_anew) {
      thread.freed.push_back(i);
      continue;
    }
    pages_[i].mapping = next_mapping_;
    pages_[i].busy = true;
    thread.busy.push_back(i);
  }
  ++next_mapping_;
  if (registered) Tell(thread, Unmapped{RangeOf(first, count)});
  if (thread.events.empty()) thread.state = State::kGoesOn;
}

void ModelKernel::Move(Thread& thread, uint64_t first, uint64_t count,
                       uint64_t to, uint64_t to_count, bool keep_old) {
  const Page sample = pages_[first];
  for (uint64_t i = first; i < first + count; ++i) {
    if (pages_[i].mapping != sample.mapping) return;  // EFAULT.
  }
  // Of memory that no event has ever told of: docs/correctness.md.
  if (std::all_of(pages_.begin() + first, pages_.begin() + first + count,
                  [](const Page& page) { return page.grown; })) {
    return;
  }
  const uint64_t kept = std::min(count, to_count);
  const bool over = AnyRegistered(to, to_count);
  for (uint64_t i = 0; i < to_count; ++i) {
    Page& page = pages_[to + i];
    page = i < kept ? pages_[first + i] : Page();
    page.mapping = next_mapping_;
    page.registered = sample.registered;
    page.wipe_on_fork = sample.wipe_on_fork;
    page.grown = i >= kept;
    page.busy = true;
    thread.busy.push_back(to + i);
  }
  ++next_mapping_;
  for (uint64_t i = first; i < first + count; ++i) {
    Page old;
    if (keep_old) {
      old = pages_[i];
      old.contents.reset();
      old.truth = 0;
      // A program that changes what another thread is moving has a race of its
      // own.
      old.busy = true;
      thread.busy.push_back(i);
    } else {
      thread.freed.push_back(i);
    }
    pages_[i] = old;
  }
  if (over) Tell(thread, Unmapped{RangeOf(to, to_count)});
  if (sample.registered) {
    Tell(thread, Remapped{RangeOf(first, kept), kBase + PageCount(to)});
    if (kept < count) {
      Tell(thread, Unmapped{RangeOf(first + kept, count - kept)});
    }
    if (!keep_old) Tell(thread, Unmapped{RangeOf(first, kept)});
  }
  if (thread.events.empty()) thread.state = State::kGoesOn;
}

void ModelKernel::Grow(uint64_t last) {
  // In place and without a word.
  for (uint64_t i = last + 1;
       i < kPages && i < last + 4 && pages_[i].mapping == 0 && !IsFreed(i);
       ++i) {
    pages_[i].mapping = pages_[last].mapping;
    pages_[i].registered = pages_[last].registered;
    pages_[i].grown = true;
    pages_[i].wipe_on_fork = pages_[last].wipe_on_fork;
    trace_.Say(absl::StrCat(name_, " grows to ", i));
  }
}

bool ModelKernel::HasFreed(const Thread& thread, uint64_t page) {
  return std::count(thread.freed.begin(), thread.freed.end(), page) > 0;
}

bool ModelKernel::IsFreed(uint64_t page) const {
  return std::any_of(threads_.begin(), threads_.end(),
                     [page](const Thread& t) { return HasFreed(t, page); });
}

void ModelKernel::Fork(Thread& thread) {
  auto child = std::make_shared<ModelKernel>(random_, trace_, 0, 0);
  child->pages_ = pages_;
  child->name_ = absl::StrCat(name_, ".", ++forks_);
  child->next_mapping_ = next_mapping_;
  child->next_value_ = next_value_;
  child->running_ = false;
  child->known_ = known_;
  for (uint64_t i = 0; i < kPages; ++i) {
    Page& page = child->pages_[i];
    page.busy = false;
    if (!page.wipe_on_fork || page.mapping == 0) continue;
    page.contents.reset();
    page.truth = 0;
    child->wiped_.push_back(RangeOf(i, 1));
  }
  UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  unborn_.emplace_back(fd.get(), std::move(child));
  Tell(thread, Forked{std::move(fd)});
}

void ModelKernel::Tell(Thread& thread, Event event) {
  if (closed_) return;
  ++changing_;
  thread.events.push_back(std::move(event));
  thread.state = State::kTells;
}

void ModelKernel::GoOn(size_t number) {
  Thread& thread = threads_[number];
  // Nobody reads any more.
  if (closed_) thread.events.clear();
  if (!thread.events.empty()) {
    --changing_;
    thread.events.pop_front();
    if (!thread.events.empty()) {
      thread.state = State::kTells;
      return;
    }
    // Another step until a discard discards.
    if (thread.discards) return;
  }
  Finish(thread);
}

void ModelKernel::Finish(Thread& thread) {
  for (uint64_t i : thread.busy) {
    Page& page = pages_[i];
    page.busy = false;
    if (thread.discards) {
      page.discards = std::max(0, page.discards - 1);
      page.contents.reset();
      page.truth = 0;
    }
    // What reuses an address stays there until the event about what was there
    // before has come; docs/correctness.md.
    for (Thread& other : threads_) {
      if (&other == &thread || page.busy || !HasFreed(other, i)) continue;
      page.busy = true;
      other.reused.push_back(i);
    }
  }
  for (uint64_t i : thread.reused) pages_[i].busy = false;
  thread = Thread();
}

std::optional<PageRange> ModelKernel::PickRun(uint64_t most, bool mapped) {
  const uint64_t first = Below(kPages);
  const uint64_t wanted = 1 + Below(most);
  uint64_t count = 0;
  while (count < wanted && first + count < kPages &&
         !pages_[first + count].busy &&
         (pages_[first + count].mapping != 0) == mapped) {
    ++count;
  }
  if (count == 0) return std::nullopt;
  return RangeOf(first, count);
}

bool ModelKernel::AnyRegistered(uint64_t first, uint64_t count) const {
  return std::any_of(pages_.begin() + first, pages_.begin() + first + count,
                     [](const Page& page) { return page.registered; });
}

void ModelKernel::CheckAll() {
  for (uint64_t i = 0; i < kPages; ++i) {
    const Page& page = pages_[i];
    if (page.mapping == 0) continue;
    Expect(i, page.contents.value_or(0), absl::StrCat(name_, " ends with"));
  }
}

// --- The pager's side --------------------------------------------------------

absl::Span<Event> ModelKernel::ReadEvents() {
  read_.clear();
  for (Thread& thread : threads_) {
    if (thread.state != State::kFaults || thread.fault_was_read) continue;
    thread.fault_was_read = true;
    read_.push_back(PageFault{kBase + PageCount(thread.page)});
  }
  for (size_t number : std::exchange(told_, {})) {
    Thread& thread = threads_[number];
    trace_.Say(absl::StrCat("pager reads of ", Name(number), ": ",
                            Text(thread.events.front())));
    if (auto* forked = std::get_if<Forked>(&thread.events.front())) {
      read_.push_back(Forked{std::move(forked->child)});
    } else {
      const Event& event = thread.events.front();
      if (const auto* remapped = std::get_if<Remapped>(&event)) {
        read_.push_back(*remapped);
      } else if (const auto* removed = std::get_if<Removed>(&event)) {
        read_.push_back(*removed);
      } else {
        read_.push_back(std::get<Unmapped>(event));
      }
    }
    thread.state = State::kGoesOn;
  }
  return absl::MakeSpan(read_);
}

std::unique_ptr<TargetMemory> ModelKernel::OfForkedChild(UniqueFd child) {
  const auto it = std::find_if(
      unborn_.begin(), unborn_.end(),
      [&](const auto& unborn) { return unborn.first == child.get(); });
  CHECK(it != unborn_.end());
  std::shared_ptr<ModelKernel> kernel = std::move(it->second);
  unborn_.erase(it);
  kernel->running_ = true;
  kernel->begins_ = begins_;
  kernel->fd_ = std::move(child);
  children_.push_back(kernel);
  return kernel->Memory();
}

InstallResult ModelKernel::Install(PageRange range,
                                   const std::vector<uint64_t>& values,
                                   WakeMode wake) {
  if (changing_ > 0) return {Outcome::kEventPending, PageCount(0), EAGAIN};
  const uint64_t first = IndexOf(range.first);
  for (uint64_t i = first; i < first + values.size(); ++i) {
    if (i >= kPages || !pages_[i].registered ||
        pages_[i].mapping != pages_[first].mapping) {
      return {Outcome::kRangeGone, PageCount(0), ENOENT};
    }
  }
  uint64_t done = 0;
  while (done < values.size() && !pages_[first + done].contents.has_value()) {
    Expect(first + done, values[done],
           absl::StrCat("the pager installs in ", name_));
    pages_[first + done].contents = values[done];
    ++done;
  }
  trace_.Say(
      absl::StrCat("pager installs in ", name_, " ", Text(range), ": ", done));
  if (wake == WakeMode::kWake) Wake({range.first, PageCount(done)});
  if (done == 0) return {Outcome::kAlreadyPresent, PageCount(0), EEXIST};
  if (done < values.size()) {
    return {Outcome::kInterrupted, PageCount(done), EAGAIN};
  }
  return {Outcome::kInstalled, PageCount(done), 0};
}

void ModelKernel::Wake(PageRange range) {
  for (Thread& thread : threads_) {
    if (thread.state == State::kFaults &&
        range.Contains(kBase + PageCount(thread.page))) {
      thread.state = State::kAccess;
    }
  }
}

Registration ModelKernel::Probe(PageId page) const {
  if (changing_ > 0) return Registration::kEventPending;
  const bool is_ours = kBase <= page && page < kBase + PageCount(kPages);
  return is_ours && pages_[IndexOf(page)].registered
             ? Registration::kRegistered
             : Registration::kNotRegistered;
}

void ModelKernel::Unregister(PageRange range) {
  for (uint64_t i = 0; i < kPages; ++i) {
    Page& page = pages_[i];
    if (!range.Contains(kBase + PageCount(i)) || !page.registered) continue;
    page.registered = false;
    if (!page.contents.has_value()) {
      Expect(i, 0, absl::StrCat("the pager lets go of ", name_, " with"));
    }
  }
}

RegisteredRanges ModelKernel::Mappings() const {
  std::string smaps;
  for (uint64_t first = 0; first < kPages;) {
    const Page& page = pages_[first];
    uint64_t limit = first + 1;
    while (limit < kPages && pages_[limit].mapping == page.mapping) ++limit;
    if (page.mapping != 0) {
      absl::StrAppend(&smaps, absl::Hex(AddressOf(kBase + PageCount(first))),
                      "-", absl::Hex(AddressOf(kBase + PageCount(limit))),
                      " rw-p 0 0:0 0\nVmFlags: rd",
                      page.registered ? " um" : "", "\n");
    }
    first = limit;
  }
  absl::StatusOr<RegisteredRanges> parsed = RegisteredRanges::Parse(smaps);
  CHECK(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

void ModelKernel::Close() {
  Unregister(RangeOf(0, kPages));
  Wake(RangeOf(0, kPages));
  closed_ = true;
  for (Thread& thread : threads_) {
    if (thread.state == State::kWaits || thread.state == State::kTells) {
      thread.state = State::kGoesOn;
    }
  }
  told_.clear();
}

}  // namespace pagelift
