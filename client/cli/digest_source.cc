#include "client/cli/digest_source.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "client/cli/human_units.h"
#include "daemon/pager/source/source_opener.h"
#include "lib/base/status_macros.h"
#include "lib/source/page_source.h"

namespace pagelift {

absl::StatusOr<DigestedSource> DigestSource(const std::string& url) {
  ASSIGN_OR_RETURN(std::unique_ptr<PageSource> source, OpenSource(url));
  const PageCount all = source->description().page_count;
  const bool tell = isatty(STDERR_FILENO) != 0;
  DigestedSource digested;
  digested.url = url;
  digested.content_id = source->description().content_id;
  ASSIGN_OR_RETURN(
      digested.digests,
      DigestPages(*source, [&](PageCount done, const std::string& trouble) {
        if (!tell) return;
        fprintf(stderr, "\r\033[K%s: %s of %s%s%s", url.c_str(),
                HumanBytes(done.bytes()).c_str(),
                HumanBytes(all.bytes()).c_str(), trouble.empty() ? "" : ": ",
                trouble.c_str());
      }));
  if (tell) fputs("\r\033[K", stderr);
  return digested;
}

}  // namespace pagelift
