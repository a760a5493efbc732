// What holds for the verdict on any frame whatever: the fuzzer asks it of frames that it invents,
// the unit tests of theirs.
#pragma once

#include <cstdint>
#include <span>

#include "userspace/judge.h"

namespace clusterip::test {

// Ends the process with a message when something does not hold.
void require_judge_invariants(std::span<const std::uint8_t> frame, std::uint32_t type,
                              std::span<const VirtualIp> virtual_ips);

}  // namespace clusterip::test
