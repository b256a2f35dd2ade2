#ifndef PAGELIFT_LIB_MIGRATION_TESTING_SUCCESSORS_H_
#define PAGELIFT_LIB_MIGRATION_TESTING_SUCCESSORS_H_

#include <functional>
#include <string>
#include <vector>

#include "lib/migration/testing/world.h"

namespace pagelift {

// What may come after a world.
struct Successor {
  World world;
  bool is_progress;  // No failure, and nobody changes his mind.
  std::string what;
};

std::vector<Successor> SuccessorsOf(const World& world);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_TESTING_SUCCESSORS_H_
