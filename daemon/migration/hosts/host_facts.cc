#include "daemon/migration/hosts/host_facts.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"

namespace pagelift {
namespace {

// What a program looks for before it uses it; CRIU compares the state that some
// of them have, and nothing compares the others.
constexpr absl::string_view kInstructions[] = {
    "abm",        "adx",        "aes",       "bmi1",    "bmi2",     "cldemote",
    "clflushopt", "clwb",       "f16c",      "fma",     "fsgsbase", "gfni",
    "hle",        "movbe",      "movdir64b", "movdiri", "ospke",    "pclmulqdq",
    "pku",        "pni",        "popcnt",    "rdpid",   "rdrand",   "rdseed",
    "rtm",        "serialize",  "sha_ni",    "ssse3",   "sse4_1",   "sse4_2",
    "vaes",       "vpclmulqdq", "waitpkg",
};
constexpr absl::string_view kInstructionFamilies[] = {"avx", "amx_", "xsave"};

// The first word after `name` in a file like /proc/meminfo.
absl::string_view FieldOf(absl::string_view file, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(file, '\n')) {
    if (absl::ConsumePrefix(&line, name)) {
      return absl::StripLeadingAsciiWhitespace(line);
    }
  }
  return "";
}

std::string CriuVersion(const std::string& criu) {
  const UniqueFd output(memfd_create("criu-version", MFD_CLOEXEC));
  ProgramStart start;
  start.argv = {criu, "--version"};
  start.output = absl::StrCat("/proc/self/fd/", output.get());
  const absl::StatusOr<int> code = RunProgram(start);
  if (!code.ok() || *code != 0) return "";
  const absl::StatusOr<std::string> said = ReadFile(start.output);
  if (!said.ok()) return "";
  return std::string(absl::StripAsciiWhitespace(
      FieldOf(absl::StrCat(*said, "\n"), "Version:")));
}

std::vector<std::string> MissingIn(
    const google::protobuf::RepeatedPtrField<std::string>& has,
    const google::protobuf::RepeatedPtrField<std::string>& needs) {
  std::vector<std::string> missing;
  const std::set<std::string> there(has.begin(), has.end());
  for (const std::string& flag : needs) {
    if (there.count(flag) == 0) missing.push_back(flag);
  }
  return missing;
}

std::string Major(absl::string_view version) {
  return std::string(version.substr(0, version.find('.')));
}

void CompareFiles(const v1::PrepareRequest& request,
                  std::vector<std::string>* obstacles) {
  for (const v1::PrepareRequest::File& file : request.files()) {
    struct stat info;
    if (stat(file.path().c_str(), &info) != 0) {
      obstacles->push_back(absl::StrCat(
          file.path(), " is mapped, and is not there: install the same"));
    } else if (static_cast<uint64_t>(info.st_size) != file.size()) {
      obstacles->push_back(absl::StrCat(
          file.path(), " is another file (", info.st_size, " bytes, and ",
          file.size(), " at the source): install the same version"));
    }
  }
}

}  // namespace

std::vector<std::string> InstructionSets(absl::string_view cpuinfo) {
  std::set<std::string> found;
  absl::string_view flags = FieldOf(cpuinfo, "flags");
  absl::ConsumePrefix(&flags, ":");
  for (absl::string_view flag :
       absl::StrSplit(flags, ' ', absl::SkipWhitespace())) {
    const bool is_one =
        std::find(std::begin(kInstructions), std::end(kInstructions), flag) !=
            std::end(kInstructions) ||
        std::any_of(std::begin(kInstructionFamilies),
                    std::end(kInstructionFamilies),
                    [&](absl::string_view family) {
                      return absl::StartsWith(flag, family);
                    });
    if (is_one) found.emplace(flag);
  }
  return {found.begin(), found.end()};
}

v1::HostFacts GatherHostFacts(const std::string& criu) {
  v1::HostFacts facts;
  utsname name;
  if (uname(&name) == 0) {
    facts.set_kernel(name.release);
    facts.set_architecture(name.machine);
  }
  if (!criu.empty()) facts.set_criu_version(CriuVersion(criu));
  if (const auto cpuinfo = ReadFile("/proc/cpuinfo"); cpuinfo.ok()) {
    for (std::string& flag : InstructionSets(*cpuinfo)) {
      facts.add_cpu_flags(std::move(flag));
    }
  }
  if (const auto meminfo = ReadFile("/proc/meminfo"); meminfo.ok()) {
    uint64_t kilobytes = 0;
    const absl::string_view field = FieldOf(*meminfo, "MemAvailable:");
    if (absl::SimpleAtoi(field.substr(0, field.find(' ')), &kilobytes)) {
      facts.set_available_memory_bytes(kilobytes << 10);
    }
  }
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    facts.set_max_open_files(limit.rlim_max);
  }
  return facts;
}

absl::StatusOr<std::vector<v1::PrepareRequest::File>> MappedFiles(
    const std::vector<int>& processes) {
  std::map<std::string, uint64_t> files;
  for (int process : processes) {
    ASSIGN_OR_RETURN(const std::string maps,
                     ReadFile(absl::StrCat("/proc/", process, "/maps")));
    for (absl::string_view line : absl::StrSplit(maps, '\n')) {
      const size_t slash = line.find('/');
      if (slash == absl::string_view::npos) continue;
      // Programs and libraries: what data files hold is CRIU's care.
      const std::vector<absl::string_view> fields =
          absl::StrSplit(line, absl::MaxSplits(' ', 2));
      if (fields.size() < 2 || !absl::StrContains(fields[1], 'x')) continue;
      const std::string path(line.substr(slash));
      struct stat info;
      const std::string seen = absl::StrCat("/proc/", process, "/root", path);
      if (stat(seen.c_str(), &info) != 0) continue;  // "(deleted)".
      files.emplace(path, info.st_size);
    }
  }
  std::vector<v1::PrepareRequest::File> found;
  for (const auto& [path, size] : files) {
    v1::PrepareRequest::File& file = found.emplace_back();
    file.set_path(path);
    file.set_size(size);
  }
  return found;
}

std::vector<std::string> ObstaclesAt(const v1::HostFacts& facts,
                                     const v1::PrepareRequest& request) {
  std::vector<std::string> obstacles;
  const v1::HostFacts& source = request.source();
  if (facts.criu_version().empty()) {
    obstacles.push_back(
        "no criu that works was found there: install it, or name it with "
        "--criu");
  } else if (Major(facts.criu_version()) != Major(source.criu_version())) {
    obstacles.push_back(absl::StrCat(
        "criu is of version ", facts.criu_version(), " there, and ",
        source.criu_version(), " here: install the same major version"));
  }
  if (facts.architecture() != source.architecture()) {
    obstacles.push_back(absl::StrCat("the processor there is ",
                                     facts.architecture(), ", and here ",
                                     source.architecture()));
  }
  const std::vector<std::string> missing =
      MissingIn(facts.cpu_flags(), source.cpu_flags());
  if (!missing.empty()) {
    obstacles.push_back(
        absl::StrCat("the processor there lacks ", absl::StrJoin(missing, " "),
                     ", which the program may have found here"));
  }
  if (facts.available_memory_bytes() < request.memory_bytes()) {
    obstacles.push_back(absl::StrCat(
        facts.available_memory_bytes() >> 20, " MiB of memory are free there, ",
        request.memory_bytes() >> 20, " are needed"));
  }
  CompareFiles(request, &obstacles);
  return obstacles;
}

}  // namespace pagelift
