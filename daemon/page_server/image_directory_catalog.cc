#include "daemon/page_server/image_directory_catalog.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"

namespace pagelift {
namespace {

constexpr size_t kMaxNameLength = 1024;
// How deep below the root checkpoints are looked for.
constexpr int kMaxDepth = 16;
// Images that stay open although no client uses them.
constexpr size_t kMaxRecent = 64;

// Which checkpoint lies in a directory: a dump writes its inventory last.
// kNotFound: none does.
absl::StatusOr<FileIdentity> IdentityOf(int directory) {
  absl::StatusOr<FileIdentity> identity =
      FileIdentity::Of(directory, "inventory.img");
  if (absl::IsNotFound(identity.status())) {
    return absl::NotFoundError("no inventory.img: not a checkpoint");
  }
  return identity;
}

// Opens `path` below `root`; EXDEV if it leads out, by ".." or by a link.
int OpenBeneath(int root, const std::string& path) {
  open_how how = {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(
      syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how)));
}

bool IsCheckpoint(const std::filesystem::path& directory) {
  std::error_code error;
  return std::filesystem::exists(directory / "inventory.img", error);
}

// Adds the names of the checkpoints below `root`.
void FindCheckpoints(const std::string& root, std::vector<std::string>* names) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator it(
      root, fs::directory_options::skip_permission_denied, error);
  for (; !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code ignored;
    if (!it->is_directory(ignored) || it->is_symlink(ignored)) continue;
    if (IsCheckpoint(it->path())) {
      std::string name = it->path().lexically_relative(root).string();
      if (CheckImageName(name).ok()) names->push_back(std::move(name));
      it.disable_recursion_pending();
    } else if (it.depth() >= kMaxDepth) {
      it.disable_recursion_pending();
    }
  }
}

}  // namespace

absl::Status CheckImageName(absl::string_view name) {
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) {
    // A '?' begins the options of a source's URL.
    return absl::ascii_isprint(static_cast<unsigned char>(c)) && c != '?';
  });
  bool plain = !name.empty() && name.size() <= kMaxNameLength && printable;
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty() || part == "." || part == "..") plain = false;
  }
  if (plain) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      QuotedImageName(name),
      " cannot be the name of an image: printable ASCII, ",
      "no '?', no '/' at either end, no empty, \".\" or \"..\" part"));
}

absl::StatusOr<std::unique_ptr<ImageDirectoryCatalog>>
ImageDirectoryCatalog::Create(NamedDirectories named, std::string root) {
  for (const auto& [name, directory] : named) {
    RETURN_IF_ERROR(CheckImageName(name));
  }
  UniqueFd root_fd;
  if (!root.empty()) {
    root_fd.reset(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_fd.valid()) return SysError("open ", root);
    if (IdentityOf(root_fd.get()).ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(root, " is itself a checkpoint: give it a name by ",
                       "--image NAME=", root));
    }
  }
  return std::unique_ptr<ImageDirectoryCatalog>(new ImageDirectoryCatalog(
      std::move(named), std::move(root), std::move(root_fd)));
}

ImageDirectoryCatalog::ImageDirectoryCatalog(NamedDirectories named,
                                             std::string root, UniqueFd root_fd)
    : named_(std::move(named)),
      root_(std::move(root)),
      root_fd_(std::move(root_fd)) {}

std::vector<std::string> ImageDirectoryCatalog::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, directory] : named_) names.push_back(name);
  if (root_fd_.valid()) FindCheckpoints(root_, &names);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

absl::Status ImageDirectoryCatalog::NoSuchImage(const std::string& name) const {
  return NoSuchImageError(name, Names());
}

std::string ImageDirectoryCatalog::PathOf(const std::string& name) const {
  auto it = named_.find(name);
  return it != named_.end() ? it->second : absl::StrCat(root_, "/", name);
}

absl::StatusOr<UniqueFd> ImageDirectoryCatalog::OpenDirectory(
    const std::string& name) const {
  if (!CheckImageName(name).ok()) return NoSuchImage(name);
  if (named_.count(name) > 0) {
    const std::string path = PathOf(name);
    UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return SysError("image ", name, ": open ", path);
    return fd;
  }
  if (!root_fd_.valid()) return NoSuchImage(name);
  UniqueFd fd(OpenBeneath(root_fd_.get(), name));
  if (fd.valid()) return fd;
  if (errno == EXDEV) {
    LOG(Warning) << "refused image " << QuotedImageName(name)
                 << ": it leads out of " << root_;
  } else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
    return SysError("image ", name, ": open ", PathOf(name));
  }
  return NoSuchImage(name);
}

std::shared_ptr<ImageDirectoryCatalog::Entry> ImageDirectoryCatalog::EntryOf(
    const std::string& name) {
  absl::MutexLock lock(&mu_);
  std::shared_ptr<Entry>& entry = entries_[name];
  if (entry == nullptr) entry = std::make_shared<Entry>();
  return entry;
}

void ImageDirectoryCatalog::KeepOpen(std::shared_ptr<const PageStore> store) {
  absl::MutexLock lock(&mu_);
  auto it = std::find(recent_.begin(), recent_.end(), store);
  if (it != recent_.end()) recent_.erase(it);
  recent_.push_front(std::move(store));
  if (recent_.size() > kMaxRecent) recent_.pop_back();
}

absl::StatusOr<std::shared_ptr<const PageStore>> ImageDirectoryCatalog::Open(
    const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd directory, OpenDirectory(name));
  absl::StatusOr<FileIdentity> identity = IdentityOf(directory.get());
  if (!identity.ok()) {
    // A directory above checkpoints is no image; a named one should be.
    if (named_.count(name) == 0 && absl::IsNotFound(identity.status())) {
      return NoSuchImage(name);
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "image ", name, ": ", PathOf(name), ": ", identity.status().message()));
  }
  std::shared_ptr<Entry> entry = EntryOf(name);
  absl::MutexLock lock(&entry->mu);
  std::shared_ptr<const PageStore> store = entry->store.lock();
  if (store == nullptr || !(entry->identity == *identity)) {
    // By way of the descriptor: the directory that was checked, wherever its
    // name leads by now.
    const std::string path = absl::StrCat("/proc/self/fd/", directory.get());
    absl::StatusOr<std::shared_ptr<const CheckpointImage>> image =
        CheckpointImage::Open(path);
    if (!image.ok()) {
      return absl::Status(
          image.status().code(),
          absl::StrCat("image ", name, ": ",
                       absl::StrReplaceAll(image.status().message(),
                                           {{path, PathOf(name)}})));
    }
    store = *std::move(image);
    entry->store = store;
    entry->identity = *identity;
    LOG(Info) << "opened image " << name << " in " << PathOf(name) << ": "
              << store->description().page_count << " pages, content id "
              << store->description().content_id;
  }
  KeepOpen(store);
  return store;
}

absl::StatusOr<WorkingSetFile> ImageDirectoryCatalog::OpenWorkingSet(
    const std::string& name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const PageStore> store, Open(name));
  ASSIGN_OR_RETURN(UniqueFd directory, OpenDirectory(name));
  return WorkingSetFile(std::move(directory), PathOf(name),
                        store->description().content_id,
                        store->description().page_count);
}

}  // namespace pagelift
