#include "daemon/page_server/dump_connection.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/thread_name.h"
#include "lib/image/received_dump.h"
#include "lib/memory/page.h"
#include "lib/tls/tls_session.h"
#include "lib/transport/criu_sink_message.h"
#include "lib/transport/socket_address.h"

namespace pagelift {

// Makes the dump's directory when there is something to put into it.
class DumpConnection::Writer : public CriuDumpWriter {
 public:
  explicit Writer(DumpNames& names) : names_(names) {}

  absl::Status Open(const CriuObject& object) override {
    if (!dump_.has_value()) {
      path_ = names_.Next(absl::Now());
      ASSIGN_OR_RETURN(ReceivedDump dump, ReceivedDump::Start(path_));
      dump_.emplace(std::move(dump));
    }
    return object.kind == CriuObject::Kind::kTask
               ? dump_->OpenTask(static_cast<int32_t>(object.id))
               : dump_->OpenSharedMemory(object.id);
  }
  absl::Status Add(PageRange pages, bool lazy) override {
    return dump_->Add(pages, lazy);
  }
  absl::Status Write(absl::Span<const std::byte> contents) override {
    return dump_->Append(contents);
  }
  absl::Status Finish() override {
    // CRIU says goodbye, too, when a dump fails before its first page.
    if (!dump_.has_value()) return absl::OkStatus();
    RETURN_IF_ERROR(dump_->Publish());
    published_ = true;
    return absl::OkStatus();
  }

  bool has_begun() const { return dump_.has_value(); }
  bool is_published() const { return published_; }
  const std::string& path() const { return path_; }
  // REQUIRES: has_begun().
  std::string Size() const {
    return absl::StrCat(dump_->pages().raw(), " pages of ", dump_->objects(),
                        " tasks and shared memories");
  }
  // Removes what is not published.
  void Forget() { dump_.reset(); }

 private:
  DumpNames& names_;
  std::string path_;
  std::optional<ReceivedDump> dump_;
  bool published_ = false;
};

DumpConnection::DumpConnection(UniqueFd socket,
                               std::shared_ptr<TlsCredentials> tls,
                               const CriuDumpPatience& patience,
                               DumpNames& names, int cancel)
    : socket_(std::move(socket)),
      peer_(PeerOf(socket_.fd())),
      tls_(std::move(tls)),
      patience_(patience),
      names_(names),
      cancel_(cancel),
      thread_([this] { Run(); }) {}

DumpConnection::~DumpConnection() { thread_.join(); }

absl::Status DumpConnection::Receive(Writer& writer) {
  if (tls_ != nullptr) {
    RETURN_IF_ERROR(socket_.StartTls(TlsSession::Server(*tls_->Current()), {},
                                     patience_.first, cancel_));
  }
  return ReceiveCriuDump(socket_, patience_, cancel_, writer);
}

void DumpConnection::Run() {
  NameThisThread("pl-dump");
  Writer writer(names_);
  const absl::Status received = Receive(writer);
  // The far end's tasks go on from here.
  socket_ = StreamSocket();
  const bool begun = writer.has_begun();
  const std::string size = begun ? writer.Size() : "";
  writer.Forget();
  if (writer.is_published()) {
    LOG(Info) << "received " << writer.path() << " from " << peer_ << ": "
              << size << "; pagelift adopt makes a checkpoint of it";
  }
  if (received.ok()) {
    if (!begun) LOG(Info) << peer_ << " sent a dump without any page";
  } else if (writer.is_published()) {
    LOG(Warning) << "whether the dump of " << peer_
                 << " went well is not known: " << received.message();
  } else if (begun) {
    LOG(Warning) << "the dump of " << peer_ << " is not kept, after " << size
                 << ": " << received.message();
  } else if (absl::IsNotFound(received)) {
    LOG(Debug) << peer_ << " connected to the sink, and said nothing";
  } else {
    LOG(Warning) << "no dump of " << peer_ << ": " << received.message();
  }
  over_ = true;
}

}  // namespace pagelift
