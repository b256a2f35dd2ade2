#include "lib/transport/testing/test_page_server.h"

#include <chrono>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/transport/channel.h"

namespace pagelift {

void FakeCatalog::Put(const std::string& name,
                      std::shared_ptr<const PageStore> store) {
  absl::MutexLock lock(&mu_);
  images_.insert_or_assign(name, std::move(store));
}

void FakeCatalog::Break(const std::string& name, absl::Status error) {
  absl::MutexLock lock(&mu_);
  images_.insert_or_assign(name, std::move(error));
}

std::vector<std::string> FakeCatalog::Names() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [name, store] : images_) names.push_back(name);
  return names;
}

absl::StatusOr<std::shared_ptr<const PageStore>> FakeCatalog::Open(
    const std::string& name) {
  absl::MutexLock lock(&mu_);
  auto it = images_.find(name);
  if (it == images_.end()) return absl::NotFoundError("no image " + name);
  return it->second;
}

absl::StatusOr<WorkingSetFile> FakeCatalog::OpenWorkingSet(
    const std::string& name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const PageStore> store, Open(name));
  return WorkingSetFile::Open(dir_.path(), store->description().content_id,
                              store->description().page_count);
}

TestServer::TestServer(const std::string& socket, grpc::Service& service) {
  grpc::ServerBuilder builder;
  ConfigurePageServer(builder);
  builder.AddListeningPort(AddressOf(socket),
                           grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  server_ = builder.BuildAndStart();
  CHECK(server_ != nullptr) << "cannot listen on " << socket;
}

TestServer::TestServer(const std::string& socket, PageService& service) {
  grpc::ServerBuilder builder;
  absl::StatusOr<std::unique_ptr<DoorServer>> server =
      DoorServer::Start(AddressOf(socket), service, builder);
  CHECK(server.ok()) << server.status().ToString();
  door_server_ = *std::move(server);
}

TestServer::~TestServer() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

}  // namespace pagelift
