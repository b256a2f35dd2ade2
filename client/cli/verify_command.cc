#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/digest_source.h"
#include "client/cli/human_units.h"
#include "lib/base/command_line.h"
#include "lib/base/json_string.h"
#include "lib/base/status_macros.h"
#include "lib/memory/page.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/source_flags.h"

namespace pagelift {
namespace {

constexpr size_t kMostNamed = 10;

// The pages that `a` and `b` have, and have differently.
std::vector<ImagePage> Differences(const DigestedSource& a,
                                   const DigestedSource& b) {
  std::vector<ImagePage> different;
  auto is_lost = [](const DigestedSource& v, ImagePage page) {
    return std::binary_search(v.digests.lost.begin(), v.digests.lost.end(),
                              page);
  };
  for (size_t i = 0; i < a.digests.pages.size(); ++i) {
    const ImagePage page(i);
    if (a.digests.pages[i] != b.digests.pages[i] && !is_lost(a, page) &&
        !is_lost(b, page)) {
      different.push_back(page);
    }
  }
  return different;
}

std::string Some(const std::vector<ImagePage>& pages) {
  std::vector<uint64_t> numbers;
  for (ImagePage page : pages) {
    if (numbers.size() == kMostNamed) break;
    numbers.push_back(page.raw());
  }
  return absl::StrCat(absl::StrJoin(numbers, ", "),
                      numbers.size() < pages.size() ? ", ..." : "");
}

void TellPeople(const std::vector<DigestedSource>& all,
                const std::vector<ImagePage>& different) {
  for (const DigestedSource& v : all) {
    const PageCount pages(v.digests.pages.size());
    printf("%s: %s in %zu pages, %s of it zeros; content id %s, pages %s\n",
           v.url.c_str(), HumanBytes(pages.bytes()).c_str(), pages.raw(),
           HumanBytes(v.digests.zero.bytes()).c_str(), v.content_id.c_str(),
           v.digests.lost.empty() ? v.digests.OfAll().c_str() : "incomplete");
    if (v.digests.lost.empty()) continue;
    printf("  %zu pages are lost (%s): %s\n", v.digests.lost.size(),
           Some(v.digests.lost).c_str(), v.digests.why_lost.c_str());
  }
  if (!different.empty()) {
    printf("%zu pages differ: %s\n", different.size(), Some(different).c_str());
  }
}

void TellMachines(const std::vector<DigestedSource>& all,
                  const std::vector<ImagePage>& different) {
  std::vector<std::string> sources;
  for (const DigestedSource& v : all) {
    sources.push_back(absl::StrFormat(
        "{\"source\":%s,\"content_id\":%s,\"pages\":%u,\"zero_pages\":%u,"
        "\"lost_pages\":%u,\"digest\":%s}",
        JsonString(v.url), JsonString(v.content_id), v.digests.pages.size(),
        v.digests.zero.raw(), v.digests.lost.size(),
        v.digests.lost.empty() ? JsonString(v.digests.OfAll()) : "null"));
  }
  printf("{\"sources\":[%s],\"different_pages\":%zu}\n",
         absl::StrJoin(sources, ",").c_str(), different.size());
}

// Whether all is as it should be.
absl::StatusOr<bool> VerifyAll(const std::vector<std::string>& urls,
                               bool json) {
  std::vector<DigestedSource> all;
  for (const std::string& url : urls) {
    ASSIGN_OR_RETURN(DigestedSource verified, DigestSource(url));
    all.push_back(std::move(verified));
    if (all.back().content_id != all.front().content_id) {
      return absl::FailedPreconditionError(absl::StrCat(
          all.back().url, " has another checkpoint (content id ",
          all.back().content_id, ") than ", all.front().url, " (",
          all.front().content_id, "): there is nothing to compare"));
    }
  }
  std::vector<ImagePage> different;
  if (all.size() == 2) different = Differences(all[0], all[1]);
  json ? TellMachines(all, different) : TellPeople(all, different);
  return different.empty() &&
         std::all_of(all.begin(), all.end(), [](const DigestedSource& v) {
           return v.digests.lost.empty();
         });
}

}  // namespace

int VerifyCommand(int argc, const char* const argv[]) {
  std::string source;
  std::string other;
  bool json = false;
  SourceFlags flags;
  CommandLine line(
      "pagelift verify",
      "Reads every page that a pager would bring, and compares copies.");
  line.Add({"json", 0, "", "one JSON object instead of text", &json});
  flags.AddTo(line);
  line.AddPositional(
      {"SOURCE", "criu:DIR or grpc[s]://HOST:PORT/NAME", &source});
  line.AddPositional({"[OTHER]", "another copy of it", &other});
  line.Examples(
      "Exit codes: 0 every page is there, and no page differs; 1 not so, or "
      "it\n"
      "could not be found out; 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift verify criu:/ckpt/redis\n"
      "  pagelift verify criu:/ckpt/redis grpcs://10.0.0.2:7077/redis\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  KeepGrpcToTheEnd();
  std::vector<std::string> urls = {flags.AppliedTo(source)};
  if (!other.empty()) urls.push_back(flags.AppliedTo(other));
  const absl::StatusOr<bool> whole = VerifyAll(urls, json);
  if (!whole.ok()) {
    fprintf(stderr, "pagelift verify: %s\n",
            std::string(whole.status().message()).c_str());
    return 1;
  }
  return *whole ? 0 : 1;
}

}  // namespace pagelift
