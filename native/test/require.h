// A condition that ends the process when it does not hold: what a fuzzer looks for.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace clusterip::test {

[[noreturn]] inline void requirement_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
  std::abort();
}

}  // namespace clusterip::test

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): the text of the condition and its place
#define REQUIRE(condition) \
  ((condition) ? (void)0 : ::clusterip::test::requirement_failed(__FILE__, __LINE__, #condition))
