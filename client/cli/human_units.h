#ifndef PAGELIFT_CLIENT_CLI_HUMAN_UNITS_H_
#define PAGELIFT_CLIENT_CLI_HUMAN_UNITS_H_

#include <cstdint>
#include <string>

namespace pagelift {

// "0 B", "4.0 KiB", "1.5 GiB"
std::string HumanBytes(uint64_t bytes);
// "5,321"
std::string HumanCount(uint64_t count);
// "850 us", "12.3 ms", "4.56 s", "2 min 5 s"
std::string HumanMicroseconds(uint64_t us);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_HUMAN_UNITS_H_
