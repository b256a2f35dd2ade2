#ifndef PAGELIFT_LIB_SOURCE_GONE_SOURCE_H_
#define PAGELIFT_LIB_SOURCE_GONE_SOURCE_H_

#include <string>
#include <utility>

#include "lib/source/page_source.h"

namespace pagelift {

// What is left of a source whose far end is lost for good: no page ever comes,
// so that whoever needs one waits.
//
// Thread-safe.
class GoneSource : public PageSource {
 public:
  // `why`: for people.
  GoneSource(ImageDescription description, std::string why)
      : description_(std::move(description)), why_(std::move(why)) {}

  const ImageDescription& description() const override { return description_; }
  void Start(PageSink* /*sink*/) override {}
  void Fetch(ImageRange /*range*/, Urgency /*urgency*/) override {}
  void Stop() override {}
  uint64_t bytes_received() const override { return 0; }
  std::string trouble() const override { return why_; }
  bool is_gone() const override { return true; }

 private:
  const ImageDescription description_;
  const std::string why_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_GONE_SOURCE_H_
