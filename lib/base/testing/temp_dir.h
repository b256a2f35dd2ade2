#ifndef PAGELIFT_LIB_BASE_TESTING_TEMP_DIR_H_
#define PAGELIFT_LIB_BASE_TESTING_TEMP_DIR_H_

#include <string>

namespace pagelift {

// A fresh directory that is removed, with all that is in it, in the end. Its
// path is short enough for a Unix socket inside.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string Join(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Writes `contents` to `path`, or fails the test.
void WriteFile(const std::string& path, const std::string& contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_TESTING_TEMP_DIR_H_
