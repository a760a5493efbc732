// Runs the native tests without Node.js: all of them, or those whose names hold one of the words.
//
//     native-test [WORD…] <VECTORS
//
// Standard input: the kernel's vectors as CSV (bucket_test.cc). The last line is the summary.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <span>
#include <string_view>

#include "test/test.h"

using namespace clusterip::test;

namespace {

bool is_wanted(const Test& test, std::span<char*> words) {
  return words.empty() || std::ranges::any_of(words, [&](std::string_view word) {
           return std::string_view(test.name).find(word) != std::string_view::npos;
         });
}

void run(const Test& test) {
  outcome() = {};
  try {
    test.run();
  } catch (const std::exception& error) {
    check(false, test.name, 0, std::string("exception: ") + error.what());
  }
  const char* ci = std::getenv("CI");  // NOLINT(concurrency-mt-unsafe): nothing else runs yet
  if (!outcome().skipped.empty() && ci != nullptr && std::string_view(ci) == "true") {
    check(false, test.name, 0, "cannot run here: " + outcome().skipped);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> words = std::span(argv, static_cast<std::size_t>(argc)).subspan(1);
  unsigned passed = 0;
  unsigned failed = 0;
  unsigned skipped = 0;
  for (const Test& test : all_tests()) {
    if (!is_wanted(test, words)) continue;
    run(test);
    if (outcome().failures != 0) {
      ++failed;
      std::cout << "FAILED  " << test.name << "\n";
    } else if (!outcome().skipped.empty()) {
      ++skipped;
      std::cout << "skipped " << test.name << ": " << outcome().skipped << "\n";
    } else {
      ++passed;
      std::cout << "ok      " << test.name << "\n";
    }
    std::cout.flush();
  }
  std::cout << passed << " passed, " << failed << " failed, " << skipped << " skipped\n";
  return failed == 0 ? 0 : 1;
}
