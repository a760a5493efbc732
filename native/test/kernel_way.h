// The verdict as the programs in the kernel come to it: the virtual IPs lie in their table, a part
// of the frame is read directly and, when that is not enough, all of it with a helper.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
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
  std::size_t readable = std::numeric_limits<std::size_t>::max();  // so many, with the helper
};

// `engine_word` is the second word of the virtual IP's place.
[[nodiscard]] Judgement judge_kernel_way(const KernelFrame& frame, std::uint32_t packet_type,
                                         const clusterip_vip_table& table);

// The bucket of a flow whose protocol may have no ports; these are the words that enter the hash.
[[nodiscard]] unsigned bucket_of_flow(const clusterip_rule& rule, std::uint8_t protocol,
                                      std::uint32_t saddr_host, std::uint32_t source_port,
                                      std::uint32_t destination_port);

// Direct reading alone, as in the XDP program.
[[nodiscard]] Judgement judge_directly(const KernelFrame& frame, std::uint32_t packet_type,
                                       const clusterip_vip_table& table);

}  // namespace clusterip::test
