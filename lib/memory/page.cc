#include "lib/memory/page.h"

#include "absl/strings/str_format.h"

namespace pagelift {

std::string ToString(PageRange range) {
  return absl::StrFormat("[%#x..%#x %up]", AddressOf(range.first),
                         AddressOf(range.limit()), range.count.raw());
}

std::string ToString(ImageRange range) {
  return absl::StrFormat("[%u..%u %up]", range.first.raw(), range.limit().raw(),
                         range.count.raw());
}

std::ostream& operator<<(std::ostream& out, PageCount count) {
  return out << count.raw() << "p";
}
std::ostream& operator<<(std::ostream& out, PageId page) {
  return out << absl::StrFormat("%#x", AddressOf(page));
}
std::ostream& operator<<(std::ostream& out, ImagePage page) {
  return out << "#" << page.raw();
}
std::ostream& operator<<(std::ostream& out, PageRange range) {
  return out << ToString(range);
}
std::ostream& operator<<(std::ostream& out, ImageRange range) {
  return out << ToString(range);
}

}  // namespace pagelift
