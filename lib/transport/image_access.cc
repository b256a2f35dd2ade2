#include "lib/transport/image_access.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"

namespace pagelift {

std::vector<std::string> ImageAccess::Names(
    const ClientIdentity& client) const {
  if (!client.refusal().empty()) return {};
  std::vector<std::string> names = catalog_.Names();
  if (policy_ == nullptr) return names;
  const std::shared_ptr<const AccessPolicy> policy = policy_->Current();
  names.erase(std::remove_if(names.begin(), names.end(),
                             [&](const std::string& name) {
                               return !policy->Allows(client, name);
                             }),
              names.end());
  return names;
}

absl::StatusOr<std::shared_ptr<const PageStore>> ImageAccess::Open(
    const ClientIdentity& client, const std::string& name) const {
  RETURN_IF_ERROR(Check(client, name));
  absl::StatusOr<std::shared_ptr<const PageStore>> store = catalog_.Open(name);
  if (!store.ok()) return Explain(store.status(), client, name);
  return store;
}

absl::StatusOr<WorkingSetFile> ImageAccess::OpenWorkingSet(
    const ClientIdentity& client, const std::string& name) const {
  RETURN_IF_ERROR(Check(client, name));
  absl::StatusOr<WorkingSetFile> file = catalog_.OpenWorkingSet(name);
  if (!file.ok()) return Explain(file.status(), client, name);
  return file;
}

absl::Status ImageAccess::Check(const ClientIdentity& client,
                                const std::string& name) const {
  if (!client.refusal().empty()) {
    return absl::UnauthenticatedError(client.refusal());
  }
  if (policy_ == nullptr || policy_->Current()->Allows(client, name)) {
    return absl::OkStatus();
  }
  absl::Status denied = absl::PermissionDeniedError(
      absl::StrCat(client.ToString(), " may not open image ",
                   QuotedImageName(name), " here"));
  LOG(Warning) << denied.message();
  return denied;
}

absl::Status ImageAccess::Explain(const absl::Status& error,
                                  const ClientIdentity& client,
                                  const std::string& name) const {
  if (!absl::IsNotFound(error) || policy_ == nullptr) return ToClient(error);
  return NoSuchImageError(name, Names(client));
}

}  // namespace pagelift
