#include "lib/transport/open_replicas.h"

#include <algorithm>
#include <cstddef>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/replicated_source.h"

namespace pagelift {
namespace {

// How long those that do not answer hold up those that do; doubled while none
// does.
constexpr absl::Duration kFirstPatience = absl::Seconds(1);

using Opened = std::vector<absl::StatusOr<std::unique_ptr<RemoteSource>>>;

bool AnyOpened(const Opened& opened) {
  return std::any_of(opened.begin(), opened.end(),
                     [](const auto& source) { return source.ok(); });
}

// Asks again those that may have been slow only.
void OpenEach(const std::vector<Endpoint>& endpoints, const std::string& image,
              absl::Duration deadline, Opened& opened) {
  std::vector<std::thread> openers;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (!absl::IsUnavailable(opened[i].status())) continue;
    openers.emplace_back([&, i] {
      opened[i] = RemoteSource::Open(endpoints[i], image, deadline);
    });
  }
  for (std::thread& opener : openers) opener.join();
}

// What to say when nobody has it: rather that it is not there than that one
// cannot be reached.
absl::Status WhyNone(const Opened& opened) {
  for (const auto& source : opened) {
    if (!absl::IsUnavailable(source.status())) return source.status();
  }
  std::string all;
  for (const auto& source : opened) {
    absl::StrAppend(&all, all.empty() ? "" : "; ", source.status().message());
  }
  return absl::UnavailableError(all);
}

// kFailedPrecondition if those that were opened are not all alike.
absl::StatusOr<const ImageDescription*> CommonDescription(
    const std::vector<Endpoint>& endpoints, const std::string& image,
    const Opened& opened) {
  const ImageDescription* common = nullptr;
  std::string whose;
  for (size_t i = 0; i < opened.size(); ++i) {
    if (!opened[i].ok()) continue;
    const ImageDescription& description = (*opened[i])->description();
    if (common == nullptr) {
      common = &description;
      whose = endpoints[i].address;
    } else if (description.content_id != common->content_id) {
      return absl::FailedPreconditionError(absl::StrCat(
          "image \"", image, "\" is another checkpoint at ",
          endpoints[i].address, " (content id ", description.content_id,
          ") than at ", whose, " (content id ", common->content_id,
          "): name only servers that have the one to be restored"));
    }
  }
  return common;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PageSource>> OpenReplicas(
    const std::vector<Endpoint>& endpoints, const std::string& image,
    absl::Duration deadline, Compression compression) {
  if (endpoints.size() == 1) {
    ASSIGN_OR_RETURN(std::unique_ptr<RemoteSource> only,
                     RemoteSource::Open(endpoints[0], image, deadline));
    only->SetCompression(compression);
    return std::unique_ptr<PageSource>(std::move(only));
  }
  Opened opened;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    opened.emplace_back(absl::UnavailableError("not asked yet"));
  }
  const absl::Duration give_up = MonotonicNow() + deadline;
  absl::Duration patience = kFirstPatience;
  while (true) {
    const absl::Duration start = MonotonicNow();
    const absl::Duration limit = std::min(patience, give_up - start);
    OpenEach(endpoints, image, limit, opened);
    if (AnyOpened(opened)) break;
    const absl::Duration now = MonotonicNow();
    // If it took less, nobody is slow: what they said they would say again.
    if (now - start < limit || give_up - now < kFirstPatience) {
      return WhyNone(opened);
    }
    patience *= 2;
  }
  ASSIGN_OR_RETURN(const ImageDescription* common,
                   CommonDescription(endpoints, image, opened));
  const ImageDescription description = *common;
  std::vector<ReplicatedSource::Replica> replicas;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    std::unique_ptr<RemoteSource> source;
    if (opened[i].ok()) {
      source = *std::move(opened[i]);
    } else {
      LOG(Warning) << "replica " << endpoints[i].address
                   << " is waited for: " << opened[i].status().message();
      source = RemoteSource::Await(endpoints[i], image, description,
                                   std::string(opened[i].status().message()));
    }
    source->SetCompression(compression);
    replicas.push_back({endpoints[i].address, std::move(source)});
  }
  return std::unique_ptr<PageSource>(
      std::make_unique<ReplicatedSource>(std::move(replicas)));
}

}  // namespace pagelift
