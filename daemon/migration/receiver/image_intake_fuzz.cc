// Whatever is sent: nothing is written outside of the directory, and what is
// published is what was announced.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "daemon/migration/receiver/image_intake.h"
#include "lib/base/log.h"
#include "lib/base/read_file.h"

namespace pagelift {
namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t Byte() {
    if (empty()) return 0;
    --size_;
    return *data_++;
  }
  std::string Text() {
    const size_t length = std::min<size_t>(Byte() % 16, size_);
    std::string text(reinterpret_cast<const char*>(data_), length);
    data_ += length;
    size_ -= length;
    return text;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

std::string Place() {
  static const std::string* const place = [] {
    auto* path = new std::string("/tmp/pagelift.intake.XXXXXX");
    CHECK(mkdtemp(path->data()) != nullptr);
    atexit([] { std::filesystem::remove_all(Place()); });
    return path;
  }();
  return *place;
}

void Run(Input input) {
  const std::string parent = Place() + "/parent";
  std::filesystem::remove_all(parent);
  std::filesystem::create_directory(parent);
  absl::StatusOr<ImageIntake> intake =
      ImageIntake::Begin(parent, input.Byte() % 8, {4, 64});
  if (!intake.ok()) return;
  std::map<std::string, std::string> sent;
  std::string name;
  absl::Status status;
  while (status.ok() && !input.empty()) {
    if (input.Byte() % 2 == 0) {
      name = input.Text();
      const std::string contents = input.Text();
      // Mostly right, so that something comes of it.
      const uint64_t wrong = input.Byte();
      status = intake->BeginFile(
          {name, contents.size() + (wrong == 1 ? 1 : 0),
           Xxh3::Of(BytesOf(contents)) + (wrong == 2 ? 1 : 0)});
      if (status.ok() && wrong != 3) status = intake->Add(BytesOf(contents));
      if (status.ok()) sent[name] = wrong == 3 ? "" : contents;
    } else {
      const std::string more = input.Text();
      status = intake->Add(BytesOf(more));
      if (status.ok()) sent[name] += more;
    }
  }
  if (status.ok()) status = intake->Publish();
  const bool published = std::filesystem::exists(parent + "/images");
  CHECK(published == status.ok());
  if (published) {
    for (const auto& entry :
         std::filesystem::directory_iterator(parent + "/images")) {
      const auto file = sent.find(entry.path().filename());
      CHECK(file != sent.end());
      CHECK(*ReadFile(entry.path()) == file->second);
      sent.erase(file);
    }
    CHECK(sent.empty());
  }
  // Nothing lies beside.
  for (const auto& entry : std::filesystem::directory_iterator(Place())) {
    CHECK(entry.path().filename() == "parent");
  }
  for (const auto& entry : std::filesystem::directory_iterator(parent)) {
    CHECK(entry.path().filename() == (published ? "images" : "images.new"));
  }
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pagelift::Run(pagelift::Input(data, size));
  return 0;
}
