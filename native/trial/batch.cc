#include "trial/batch.h"

#include <cstring>

// One body for all widths, in the vector extensions that GCC and clang share. It is inlined into
// a function for each instruction set, and compiled anew there.
#if defined(__clang__)
#define CLUSTERIP_NO_VECTORS
#define CLUSTERIP_SCALAR_LOOP _Pragma("clang loop vectorize(disable) interleave(disable)")
// No width here: clang 14 would ignore the attribute as a whole.
#define CLUSTERIP_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#else
#define CLUSTERIP_NO_VECTORS \
  __attribute__((noinline, optimize("no-tree-vectorize", "no-tree-slp-vectorize")))
#define CLUSTERIP_SCALAR_LOOP
#define CLUSTERIP_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512vl,prefer-vector-width=512")))
#endif

namespace clusterip {
namespace {

template <std::size_t kLanes>
struct Lanes {
  using U32 [[gnu::vector_size(kLanes * sizeof(std::uint32_t))]] = std::uint32_t;
  using U16 [[gnu::vector_size(kLanes * sizeof(std::uint16_t))]] = std::uint16_t;
  using U8 [[gnu::vector_size(kLanes * sizeof(std::uint8_t))]] = std::uint8_t;
};

template <typename U32, typename U16>
[[gnu::always_inline]] inline void add_ports(U32& word, const std::uint16_t* ports) noexcept {
  U16 narrow;
  std::memcpy(&narrow, ports, sizeof narrow);
  word += __builtin_convertvector(narrow, U32);
}

// `word` in all lanes, register by register: GCC would store every word by itself, and then wait
// for all of them.
template <std::size_t kLanes, typename Vector>
[[gnu::always_inline]] inline void fill(Vector& vector, std::uint32_t word) noexcept {
  const typename Lanes<kLanes>::U32 one = typename Lanes<kLanes>::U32{} + word;
  auto* octets = static_cast<std::uint8_t*>(static_cast<void*>(&vector));
  for (std::size_t at = 0; at < sizeof vector; at += sizeof one) {
    std::memcpy(octets + at, &one, sizeof one);
  }
}

// Inlined, because GCC takes a call of it for one that no register of AVX matters to: it would
// leave their upper halves in use, and every SSE instruction after that waits for them.
[[gnu::always_inline]] inline void scalar_from(const FlowBatch& batch, const clusterip_rule& rule,
                                               std::size_t at) noexcept {
  for (; at < batch.buckets.size(); ++at) {
    batch.buckets[at] = clusterip_bucket_of(
        batch.saddr_host[at],
        {.source = batch.source_ports[at], .destination = batch.destination_ports[at]}, &rule);
  }
}

template <clusterip_hash_mode kMode>
CLUSTERIP_NO_VECTORS void scalar(const FlowBatch& batch, const clusterip_rule& rule) noexcept {
  const std::size_t size = batch.buckets.size();
  CLUSTERIP_SCALAR_LOOP
  for (std::size_t i = 0; i < size; ++i) {
    const clusterip_port_words ports{.source = batch.source_ports[i],
                                     .destination = batch.destination_ports[i]};
    batch.buckets[i] = clusterip_bucket_of_hash(
        clusterip_hash(batch.saddr_host[i], ports, kMode, rule.hash_init), rule.bucket_count);
  }
}

// From flow `at` on, `kFlows` at a time; returns the first flow that is left. A register holds
// `kLanes`: of a longer vector the compiler makes several, whose instructions do not wait for each
// other.
template <std::size_t kLanes, std::size_t kFlows, clusterip_hash_mode kMode>
[[gnu::always_inline]] inline std::size_t vectors(const FlowBatch& batch,
                                                  const clusterip_rule& rule,
                                                  std::size_t at) noexcept {
  using U32 = typename Lanes<kFlows>::U32;
  using U16 = typename Lanes<kFlows>::U16;
  using U8 = typename Lanes<kFlows>::U8;
  constexpr auto kWords = static_cast<std::uint32_t>(kMode) + 1;
  const std::size_t size = batch.buckets.size();
  if (size - at < kFlows) return at;
  U32 initial;
  fill<kLanes>(initial, clusterip_hash_start(kWords, rule.hash_init));
  U32 total;
  fill<kLanes>(total, rule.bucket_count);
  for (; size - at >= kFlows; at += kFlows) {
    U32 a;
    std::memcpy(&a, batch.saddr_host.data() + at, sizeof a);
    a += initial;
    U32 b = initial;
    U32 c = initial;
    if constexpr (kWords > 1) add_ports<U32, U16>(b, batch.source_ports.data() + at);
    if constexpr (kWords > 2) add_ports<U32, U16>(c, batch.destination_ports.data() + at);
    CLUSTERIP_JHASH_FINAL(a, b, c);
    // hash * total >> 32 without a 64-bit product: total has 5 bits, so both halves fit.
    const U32 bucket = ((c >> 16) * total + ((c & 0xffff) * total >> 16)) >> 16;
    // Each step halves the words: for that there are instructions, GCC knows none for a quarter.
    const U16 half = __builtin_convertvector(bucket, U16);
    const U8 narrow = __builtin_convertvector(half, U8) + 1;
    std::memcpy(batch.buckets.data() + at, &narrow, sizeof narrow);
  }
  return at;
}

// Four registers are in flight, then one at a time for what is left.
template <std::size_t kLanes, clusterip_hash_mode kMode>
[[gnu::always_inline]] inline void flows(const FlowBatch& batch,
                                         const clusterip_rule& rule) noexcept {
  const std::size_t rest = vectors<kLanes, 4 * kLanes, kMode>(batch, rule, 0);
  scalar_from(batch, rule, vectors<kLanes, kLanes, kMode>(batch, rule, rest));
}

template <std::size_t kLanes>
[[gnu::always_inline]] inline void flows(const FlowBatch& batch,
                                         const clusterip_rule& rule) noexcept {
  switch (static_cast<clusterip_hash_mode>(rule.hash_mode)) {
    case HASH_SOURCE_IP:
      return flows<kLanes, HASH_SOURCE_IP>(batch, rule);
    case HASH_SOURCE_IP_SOURCE_PORT:
      return flows<kLanes, HASH_SOURCE_IP_SOURCE_PORT>(batch, rule);
    case HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT:
      return flows<kLanes, HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT>(batch, rule);
  }
}

void all_scalar(const FlowBatch& batch, const clusterip_rule& rule) noexcept {
  switch (static_cast<clusterip_hash_mode>(rule.hash_mode)) {
    case HASH_SOURCE_IP:
      return scalar<HASH_SOURCE_IP>(batch, rule);
    case HASH_SOURCE_IP_SOURCE_PORT:
      return scalar<HASH_SOURCE_IP_SOURCE_PORT>(batch, rule);
    case HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT:
      return scalar<HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT>(batch, rule);
  }
}

void all_portable(const FlowBatch& batch, const clusterip_rule& rule) noexcept {
  flows<4>(batch, rule);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void all_avx2(const FlowBatch& batch,
                                              const clusterip_rule& rule) noexcept {
  flows<8>(batch, rule);
}

// AVX-512 rotates a word in one instruction and narrows 16 of them in another.
CLUSTERIP_AVX512 void all_avx512(const FlowBatch& batch, const clusterip_rule& rule) noexcept {
  flows<16>(batch, rule);
}
#endif

}  // namespace

bool can_run(BatchPath path) noexcept {
  switch (path) {
    case BatchPath::kScalar:
    case BatchPath::kPortable:
      return true;
#if defined(__x86_64__)
    case BatchPath::kAvx2:
      return static_cast<bool>(__builtin_cpu_supports("avx2"));
    case BatchPath::kAvx512:
      return static_cast<bool>(__builtin_cpu_supports("avx512f")) &&
             static_cast<bool>(__builtin_cpu_supports("avx512bw")) &&
             static_cast<bool>(__builtin_cpu_supports("avx512vl"));
#endif
    default:
      return false;
  }
}

BatchPath best_path() noexcept {
  static const BatchPath best = can_run(BatchPath::kAvx512) ? BatchPath::kAvx512
                                : can_run(BatchPath::kAvx2) ? BatchPath::kAvx2
                                                            : BatchPath::kPortable;
  return best;
}

void buckets_of(const FlowBatch& batch, const clusterip_rule& rule, BatchPath path) noexcept {
  switch (path) {
    case BatchPath::kScalar:
      return all_scalar(batch, rule);
#if defined(__x86_64__)
    case BatchPath::kAvx2:
      return all_avx2(batch, rule);
    case BatchPath::kAvx512:
      return all_avx512(batch, rule);
#endif
    default:
      return all_portable(batch, rule);
  }
}

}  // namespace clusterip
