#include "lib/transport/criu_page_server_source.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"
#include "lib/transport/criu_connection.h"

namespace pagelift {

// Page-aligned, so that pages are installed from where they came.
struct alignas(kPageSize) CriuPageServerSource::PageBuffer {
  std::byte bytes[CriuRequestQueue::kMostPages.bytes()];
};

absl::StatusOr<std::unique_ptr<CriuPageServerSource>>
CriuPageServerSource::Open(const std::string& address, uint16_t port,
                           ImageDescription description,
                           absl::Duration deadline) {
  // Before connecting: a connection that is dropped again has consequences.
  RETURN_IF_ERROR(description.Validate());
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectToCriu(address, port, deadline));
  return std::unique_ptr<CriuPageServerSource>(new CriuPageServerSource(
      CriuPeerName(address, port), std::move(description), std::move(socket)));
}

CriuPageServerSource::CriuPageServerSource(std::string peer,
                                           ImageDescription description,
                                           UniqueFd socket)
    : peer_(std::move(peer)),
      description_(std::move(description)),
      index_(description_),
      socket_(std::move(socket)),
      thread_([this] { Run(); }) {}

CriuPageServerSource::~CriuPageServerSource() { Abort(); }

void CriuPageServerSource::Start(PageSink* sink) {
  absl::MutexLock lock(&mu_);
  CHECK(sink_ == nullptr) << "started twice";
  sink_ = sink;
}

// --- Asking ------------------------------------------------------------------

void CriuPageServerSource::Fetch(ImageRange range, Urgency urgency) {
  while (!range.empty()) {
    PageCount count(1);
    if (std::optional<LazyPageIndex::Owner> owner = index_.OwnerOf(range)) {
      count = owner->pages.count;
      Enter({owner->pid, owner->pages}, range.first, urgency);
    } else {
      const ImageRange nobodys{range.first, count};
      Deliver([nobodys](PageSink& sink) {
        sink.OnUnavailable(nobodys,
                           absl::DataLossError("no task has this page"));
      });
    }
    range = ImageRange::Between(range.first + count, range.limit());
  }
  Pump();
}

void CriuPageServerSource::Enter(const CriuPages& pages, ImagePage first,
                                 Urgency urgency) {
  absl::MutexLock lock(&mu_);
  CHECK(sink_ != nullptr) << "Fetch before Start";
  // Of a source that is gone it stays outstanding: an answer would only make
  // the sink ask again.
  if (stopped_ || !lost_.ok()) return;
  queue_.Add(pages, first, urgency);
}

// A socket that takes no more has requests in it that are not answered. CRIU
// answers each before it reads the next, the answers make room, and with each
// of them the reader pumps. So nobody need wait for room.
void CriuPageServerSource::Pump() {
  mu_.Lock();
  pump_again_ = true;
  if (!writing_) {
    writing_ = true;
    while (pump_again_) {
      pump_again_ = false;
      bool room = true;
      while (room && NextMessage()) {
        mu_.Unlock();
        room = Send();
        mu_.Lock();
      }
    }
    writing_ = false;
  }
  mu_.Unlock();
}

bool CriuPageServerSource::NextMessage() {
  if (disconnected_) return false;
  if (!unsent_.empty()) return true;
  if (!stopped_) {
    std::optional<CriuPages> pages = queue_.Send();
    if (!pages.has_value()) return false;
    message_ = EncodeCriuGet(*pages);
  } else {
    if (ending_ != Ending::kAsked) return false;
    ending_ = Ending::kOnWire;
    message_ = EncodeCriuClose();
  }
  unsent_ = message_;
  return true;
}

bool CriuPageServerSource::Send() {
  ssize_t sent;
  do {
    sent = send(socket_.get(), unsent_.data(), unsent_.size(),
                MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  // An error is the reader's to notice.
  if (sent < 0) return false;
  unsent_.remove_prefix(static_cast<size_t>(sent));
  return unsent_.empty();
}

// --- Receiving ---------------------------------------------------------------

void CriuPageServerSource::Run() {
  NameThisThread("pl-criu");
  auto buffer = std::make_unique<PageBuffer>();
  absl::Status status = ReadAll(*buffer);
  if (!status.ok()) Lose(status);
  absl::MutexLock lock(&mu_);
  reader_ended_ = true;
}

absl::Status CriuPageServerSource::ReadAll(PageBuffer& buffer) {
  while (true) {
    ASSIGN_OR_RETURN(std::optional<CriuPages> reply, ReadHeader());
    if (!reply.has_value()) return absl::OkStatus();
    {
      absl::MutexLock lock(&mu_);
      ASSIGN_OR_RETURN(receiving_, queue_.Take(*reply));
    }
    // The server has the next request before we have these pages.
    Pump();
    absl::Span<std::byte> bytes(buffer.bytes, receiving_.count.bytes());
    RETURN_IF_ERROR(ReadPages(bytes));
    bytes_received_.fetch_add(bytes.size(), std::memory_order_relaxed);
    const absl::Span<const std::byte> piece = bytes;
    PageBatch batch;
    batch.range = std::exchange(receiving_, ImageRange());
    batch.pieces = absl::MakeConstSpan(&piece, 1);
    Deliver([&batch](PageSink& sink) { sink.OnPages(batch); });
  }
}

absl::StatusOr<std::optional<CriuPages>> CriuPageServerSource::ReadHeader() {
  CriuMessage header;
  absl::Span<std::byte> rest = absl::MakeSpan(header);
  while (!rest.empty()) {
    const ssize_t got = recv(socket_.get(), rest.data(), rest.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError("receive");
    if (got == 0) return absl::UnavailableError("it ended the connection");
    rest.remove_prefix(static_cast<size_t>(got));
    const size_t have = header.size() - rest.size();
    if (have == kCriuEndStatusSize && AwaitsStatus()) {
      TakeEndStatus(DecodeCriuEndStatus({header.data(), have}));
      return std::nullopt;
    }
  }
  return DecodeCriuReply(header);
}

absl::Status CriuPageServerSource::ReadPages(absl::Span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got =
        recv(socket_.get(), into.data(), into.size(), MSG_WAITALL);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError("receive");
    if (got == 0) {
      return absl::UnavailableError("it ended the connection in mid-page");
    }
    into.remove_prefix(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

bool CriuPageServerSource::AwaitsStatus() const {
  absl::MutexLock lock(&mu_);
  return ending_ == Ending::kOnWire && queue_.nothing_on_wire();
}

void CriuPageServerSource::TakeEndStatus(int32_t status) {
  {
    absl::MutexLock lock(&mu_);
    end_status_ = status;
  }
  // CRIU waits for our end, and would take a reset for a failure.
  shutdown(socket_.get(), SHUT_WR);
}

void CriuPageServerSource::Lose(const absl::Status& why) {
  const absl::Status lost = absl::UnavailableError(
      absl::StrCat("the source ", peer_, " is gone (", why.message(),
                   "): it takes no second connection, so pages that are still "
                   "missing cannot come any more and the tasks that need them "
                   "stay stopped. If its log tells of `tee: ... Operation not "
                   "permitted`, run `sysctl fs.pipe-max-size=67108864` on its "
                   "host before the next try"));
  std::vector<ImageRange> outstanding;
  {
    absl::MutexLock lock(&mu_);
    lost_ = lost;
    outstanding = queue_.DropAll();
    if (stopped_) return;
  }
  LOG(Error) << lost.message();
  if (!receiving_.empty()) outstanding.push_back(receiving_);
  for (ImageRange range : outstanding) {
    Deliver([&](PageSink& sink) { sink.OnUnavailable(range, lost); });
  }
}

void CriuPageServerSource::Deliver(absl::FunctionRef<void(PageSink&)> deliver) {
  PageSink* sink;
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    CHECK(sink_ != nullptr) << "Fetch before Start";
    sink = sink_;
    ++deliveries_;
  }
  deliver(*sink);
  absl::MutexLock lock(&mu_);
  --deliveries_;
}

// --- The end -----------------------------------------------------------------

void CriuPageServerSource::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  queue_.DropWaiting();
  mu_.Await(absl::Condition(this, &CriuPageServerSource::NobodyDelivers));
}

std::string CriuPageServerSource::trouble() const {
  absl::MutexLock lock(&mu_);
  return std::string(lost_.message());
}

bool CriuPageServerSource::is_gone() const {
  absl::MutexLock lock(&mu_);
  return !lost_.ok();
}

absl::Status CriuPageServerSource::Finish(absl::Duration deadline) {
  if (finished_.has_value()) return *finished_;
  if (aborted_) {
    return absl::FailedPreconditionError("the connection was reset before");
  }
  Stop();
  // The tasks run here: from now on nothing must make the source go on.
  EndInOrder(socket_.get());
  finished_ = AskForTheEnd(deadline);
  Disconnect();
  return *finished_;
}

absl::Status CriuPageServerSource::AskForTheEnd(absl::Duration deadline) {
  {
    absl::MutexLock lock(&mu_);
    if (!lost_.ok()) return lost_;
    ending_ = Ending::kAsked;
  }
  Pump();
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&reader_ended_), deadline);
  if (!end_status_.has_value()) {
    if (!lost_.ok()) return lost_;
    return absl::DeadlineExceededError(absl::StrCat(
        "the source ", peer_, " does not confirm that it has ended"));
  }
  if (*end_status_ != 0) {
    return absl::InternalError(absl::StrCat(
        "the source ", peer_, " ended with status ", *end_status_));
  }
  return absl::OkStatus();
}

void CriuPageServerSource::Abort() {
  if (finished_.has_value() || aborted_) return;
  aborted_ = true;
  Stop();
  Disconnect();
}

void CriuPageServerSource::Disconnect() {
  {
    absl::MutexLock lock(&mu_);
    disconnected_ = true;
    mu_.Await(absl::Condition(this, &CriuPageServerSource::NobodyWrites));
  }
  // Frees the reader, and says nothing to the peer.
  shutdown(socket_.get(), SHUT_RD);
  thread_.join();
  socket_.reset();
}

}  // namespace pagelift
