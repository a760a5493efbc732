// When every frame that waited has been judged.
#include "linux/settle.h"

#include <chrono>
#include <vector>

#include "test/test.h"

namespace clusterip::test {
namespace {

using std::chrono::milliseconds;

// Looks at moments that it is told, in milliseconds from the first one.
class Looks {
 public:
  [[nodiscard]] bool wait(int ms, const std::vector<CpuBacklog>& backlogs) {
    return cpus_.look(backlogs, DrainedCpus::Time{} + milliseconds(ms));
  }
  [[nodiscard]] bool has_given_up() const { return cpus_.has_given_up(); }

 private:
  DrainedCpus cpus_;
};

CpuBacklog cpu(std::uint32_t processed, std::uint32_t waiting) {
  return {.processed = processed, .waiting = waiting};
}

constexpr int kBusy = static_cast<int>(DrainedCpus::kLongestBusy.count());
constexpr int kLongest = static_cast<int>(DrainedCpus::kLongest.count());

}  // namespace

TEST(backlogs_that_are_empty_are_drained) {
  Looks looks;
  CHECK(!looks.wait(0, {cpu(7, 0), cpu(8, 0)}));
}

TEST(backlogs_need_not_be_empty_at_once) {
  Looks looks;
  CHECK(looks.wait(0, {cpu(1, 3), cpu(1, 5)}));
  CHECK(looks.wait(1, {cpu(2, 2), cpu(6, 0)}));
  CHECK(looks.wait(2, {cpu(3, 1), cpu(6, 7)}));
  CHECK(!looks.wait(3, {cpu(4, 0), cpu(6, 9)}));
}

TEST(backlogs_that_never_end_are_not_waited_for_long) {
  Looks looks;
  CHECK(looks.wait(0, {cpu(1, 0), cpu(1, 9)}));
  for (int ms = 1; ms < kBusy; ++ms) {
    CHECK(looks.wait(ms, {cpu(1, 0), cpu(1 + static_cast<std::uint32_t>(ms), 9)}));
  }
  CHECK(!looks.wait(kBusy, {cpu(1, 0), cpu(1000, 9)}));
  CHECK(!looks.has_given_up());
}

TEST(backlogs_of_a_cpu_that_stands_still_are_waited_for) {
  Looks looks;
  CHECK(looks.wait(0, {cpu(1, 200)}));
  // It was at work when the bucket moved, and has been stopped in the middle of it.
  CHECK(looks.wait(1, {cpu(4, 197)}));
  CHECK(looks.wait(500, {cpu(4, 197)}));
  CHECK(looks.wait(501, {cpu(100, 101)}));
  CHECK(!looks.wait(502, {cpu(201, 0)}));
  CHECK(!looks.has_given_up());
}

TEST(backlogs_of_a_cpu_that_stands_still_for_ever) {
  Looks looks;
  CHECK(looks.wait(0, {cpu(1, 9)}));
  CHECK(looks.wait(kLongest - 1, {cpu(1, 9)}));
  CHECK(!looks.wait(kLongest, {cpu(1, 9)}));
  CHECK(looks.has_given_up());
}

TEST(backlogs_of_cpus_that_come_and_go) {
  Looks looks;
  CHECK(looks.wait(0, {cpu(1, 1)}));
  CHECK(looks.wait(1, {}));
  CHECK(looks.wait(2, {cpu(1, 1), cpu(1, 0)}));
  CHECK(!looks.wait(3, {cpu(2, 0), cpu(1, 1)}));
  Looks unknown;
  CHECK(!unknown.wait(0, {}));
}

}  // namespace clusterip::test
