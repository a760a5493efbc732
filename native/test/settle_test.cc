// When every frame that waited has been judged.
#include "settle.h"

#include <array>
#include <vector>

#include "test.h"

namespace clusterip::test {
namespace {

bool look(DrainedCpus& cpus, const std::vector<std::uint32_t>& waiting) {
  return cpus.look(waiting);
}

}  // namespace

TEST(backlogs_that_are_empty_are_drained) {
  DrainedCpus cpus;
  CHECK(look(cpus, {0, 0}));
}

TEST(backlogs_need_not_be_empty_at_once) {
  DrainedCpus cpus;
  CHECK(!look(cpus, {3, 5}));
  CHECK(!look(cpus, {2, 0}));
  CHECK(!look(cpus, {1, 7}));
  CHECK(look(cpus, {0, 9}));
}

TEST(backlogs_that_were_never_empty_are_not_drained) {
  DrainedCpus cpus;
  for (unsigned i = 0; i < 100; ++i) CHECK(!look(cpus, {0, 1}));
}

TEST(backlogs_of_cpus_that_come_and_go) {
  DrainedCpus cpus;
  CHECK(!look(cpus, {1}));
  CHECK(!look(cpus, {}));
  CHECK(!look(cpus, {1, 0}));
  CHECK(look(cpus, {0, 1}));
  DrainedCpus unknown;
  CHECK(look(unknown, {}));
}

}  // namespace clusterip::test
