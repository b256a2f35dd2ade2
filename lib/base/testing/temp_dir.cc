#include "lib/base/testing/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "gtest/gtest.h"
#include "lib/base/log.h"

namespace pagelift {

TempDir::TempDir() {
  char path[] = "/tmp/pagelift.XXXXXX";
  CHECK(mkdtemp(path) != nullptr) << "mkdtemp " << path;
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void WriteFile(const std::string& path, const std::string& contents) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << contents;
  file.close();
  ASSERT_TRUE(file.good()) << path;
}

}  // namespace pagelift
