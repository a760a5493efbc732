// One frame through a program in the kernel, by BPF_PROG_TEST_RUN.
#pragma once

#include <cstdint>
#include <span>

#include "loader/dataplane.h"

namespace clusterip {

struct TestRun {
  std::uint32_t action = 0;
  int reason = -1;  // what the program counted, there is no other way out of it; -1: not counted
  std::uint8_t bucket = 0;
};

[[nodiscard]] Result<TestRun> test_run(const BpfDataplane& dataplane, bool is_xdp,
                                       std::span<const std::uint8_t> frame);

}  // namespace clusterip
