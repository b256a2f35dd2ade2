#include "daemon/migration/receiver/restore_words.h"

#include "absl/status/status.h"

namespace pagelift {
namespace {

constexpr char kLazy[] = "lazy";
constexpr char kEager[] = "eager";

}  // namespace

std::vector<std::string> ToWords(const CriuWork& restore) {
  std::vector<std::string> words = {restore.images, restore.work_dir,
                                    restore.log_file,
                                    restore.lazy ? kLazy : kEager};
  words.insert(words.end(), restore.options.begin(), restore.options.end());
  return words;
}

absl::StatusOr<CriuWork> FromWords(const std::vector<std::string>& words) {
  if (words.size() < 4 || (words[3] != kLazy && words[3] != kEager)) {
    return absl::InvalidArgumentError("that is not what is to be restored");
  }
  CriuWork restore;
  restore.kind = criu::RPC_RESTORE;
  restore.images = words[0];
  restore.work_dir = words[1];
  restore.log_file = words[2];
  restore.lazy = words[3] == kLazy;
  restore.options.assign(words.begin() + 4, words.end());
  return restore;
}

}  // namespace pagelift
