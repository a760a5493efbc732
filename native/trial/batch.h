// Buckets of many flows at once: the hash of verdict/hash.h over arrays, as wide as the CPU allows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "verdict/hash.h"

namespace clusterip {

// Arrays of equal length. Ports are the words that enter the hash; a flow of a protocol without
// ports has 0 and 0. `buckets` must not overlap the others.
struct FlowBatch {
  std::span<const std::uint32_t> saddr_host;
  std::span<const std::uint16_t> source_ports;
  std::span<const std::uint16_t> destination_ports;
  std::span<std::uint8_t> buckets;
};

enum class BatchPath : std::uint8_t {
  kScalar,  // one flow after the other, kept from being vectorised: what the others are measured by
  kPortable,  // 4 flows at once: SSE2, NEON and the like
  kAvx2,      // 8 flows
  kAvx512,    // 16 flows
  kCount,
};

inline constexpr std::array<const char*, static_cast<std::size_t>(BatchPath::kCount)>
    kBatchPathNames = {"scalar", "portable", "avx2", "avx512"};

// Whether this CPU has what the path needs.
[[nodiscard]] bool can_run(BatchPath path) noexcept;
// The widest one that can run.
[[nodiscard]] BatchPath best_path() noexcept;

// The path must be one that can run.
void buckets_of(const FlowBatch& batch, const clusterip_rule& rule, BatchPath path) noexcept;

}  // namespace clusterip
