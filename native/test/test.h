// A test is a function that registers itself; main.cc runs them all.
//
//     TEST(name) { CHECK(...); CHECK_EQUAL(is, should); }
//
// A failed check is reported and the test goes on. SKIP(reason) ends it and it counts as skipped,
// where CI=true as failed: a test that did not run must not look like one that passed.
#pragma once

#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace clusterip::test {

struct Test {
  const char* name;
  void (*run)();
};

// Of the test that runs now.
struct Outcome {
  unsigned failures = 0;
  std::string skipped;
};

inline std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

inline Outcome& outcome() {
  static Outcome current;
  return current;
}

struct Registration {
  Registration(const char* name, void (*run)()) { all_tests().push_back({name, run}); }
};

// Octets are numbers here, not characters.
template <typename T>
auto printable(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::is_arithmetic_v<T>) {
    return +value;
  } else {
    return std::string(value);
  }
}

inline void check(bool holds, const char* file, int line, const std::string& what) {
  constexpr unsigned kReported = 5;  // of one test
  if (holds || ++outcome().failures > kReported) return;
  std::cout << file << ":" << line << ": " << what << "\n";
}

template <typename A, typename B>
void check_equal(const A& is, const B& should, const char* file, int line, const char* what) {
  std::ostringstream text;
  text << what << " is " << printable(is) << ", should be " << printable(should);
  check(is == should, file, line, text.str());
}

// NOLINTBEGIN(cppcoreguidelines-macro-usage): the text of the condition and its place
#define TEST(name)                                                                  \
  static void name();                                                               \
  static const ::clusterip::test::Registration registration_of_##name{#name, name}; \
  static void name()
#define CHECK(condition) \
  ::clusterip::test::check(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define CHECK_EQUAL(is, should) \
  ::clusterip::test::check_equal((is), (should), __FILE__, __LINE__, #is)
#define SKIP(reason)                                 \
  do {                                               \
    ::clusterip::test::outcome().skipped = (reason); \
    return;                                          \
  } while (false)
// NOLINTEND(cppcoreguidelines-macro-usage)

}  // namespace clusterip::test
