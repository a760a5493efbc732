// The verdict as the programs in the kernel come to it: the virtual IPs lie in their table, a part
// of the frame is read directly and, when that is not enough, all of it with a helper.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "bpf/layout.h"
#include "userspace/judge.h"

namespace clusterip::test {

// What the programs look through (MAX_TAGS of native/bpf/frame.h).
inline constexpr unsigned kKernelTags = 4;

struct KernelFrame {
  std::span<const std::uint8_t> octets;
  std::size_t linear = 0;  // so many can be read directly
  bool is_merged = false;
};

// `engine_word` is the second word of the virtual IP's place.
[[nodiscard]] Judgement judge_kernel_way(const KernelFrame& frame, std::uint32_t packet_type,
                                         const clusterip_vip_table& table);

// Direct reading alone, as in the XDP program.
[[nodiscard]] Judgement judge_directly(const KernelFrame& frame, std::uint32_t packet_type,
                                       const clusterip_vip_table& table);

}  // namespace clusterip::test
