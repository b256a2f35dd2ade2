#ifndef TESTS_E2E_TARGETS_CONTROL_FILE_H_
#define TESTS_E2E_TARGETS_CONTROL_FILE_H_

#include <cstdint>
#include <string>

namespace pagelift::e2e {

// How a target program and the test talk: files in a folder that both know.
//
// The test replaces `command`, which holds a number; the target notices a new
// number, does what it is for, and replaces `result` with "<number> <text>".
// Each file is opened anew for each use and replaced by renaming, so nothing is
// open when a checkpoint is taken and nothing is ever read half-written.
//
// Thread-compatible.
class ControlFolder {
 public:
  // Every process of a tree has its own; `result` is named by `result_name`.
  explicit ControlFolder(std::string path, std::string result_name = "result");

  // Sends stdout and stderr to the file `log` in the folder, stdin to nowhere.
  // A target must not share a pipe or a terminal with whoever serves its pages.
  void TakeOverStandardStreams() const;

  // Blocks until there is a command after `previous`; returns its number.
  uint64_t WaitForCommandAfter(uint64_t previous) const;

  // Answers command `number`. Dies if the folder cannot be written.
  void Answer(uint64_t number, const std::string& text) const;

  // The answer to command `number` in the file `name`, waited for; or
  // "WRONG no answer ..." if there is none after `seconds`.
  std::string WaitForAnswer(const std::string& name, uint64_t number,
                            int seconds) const;

 private:
  std::string path_;
  std::string result_name_;
};

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_CONTROL_FILE_H_
