#ifndef PAGELIFT_LIB_TRANSPORT_DESCRIPTION_PROTO_H_
#define PAGELIFT_LIB_TRANSPORT_DESCRIPTION_PROTO_H_

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "lib/source/image_description.h"
#include "pagelift/v1/page_server.pb.h"

// ImageDescription to and from pagelift.v1.OpenImageResponse.
namespace pagelift {

inline constexpr uint32_t kProtocolVersion = 2;

// Calls `emit` with the header and then the tasks, cut into messages of bounded
// size; stops when `emit` returns false.
void DescribeInParts(
    const ImageDescription& description,
    absl::FunctionRef<bool(const v1::OpenImageResponse&)> emit);

// ImageHeader.description_checksum.
uint64_t DescriptionChecksum(const ImageDescription& description);

// Puts the parts together again. Thread-compatible.
class DescriptionAssembler {
 public:
  absl::Status Add(const v1::OpenImageResponse& part);
  // The whole description, checked with its checksum and
  // ImageDescription::Validate. kUnavailable: it arrived damaged.
  absl::StatusOr<ImageDescription> Finish() &&;
  // The same for fuzzers, which do not guess a checksum.
  absl::StatusOr<ImageDescription> FinishWithoutChecksum() &&;

 private:
  ImageDescription description_;
  uint32_t task_count_ = 0;
  size_t range_count_ = 0;
  uint64_t checksum_ = 0;
  bool has_header_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_DESCRIPTION_PROTO_H_
