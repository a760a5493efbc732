// Buckets of many flows at once: every path that this CPU has against clusterip_bucket_of(), one
// flow after the other.
#include "trial/batch.h"

#include <memory>
#include <random>
#include <vector>

#include "test/test.h"

namespace clusterip::test {
namespace {

// Arrays of exactly this length, so that AddressSanitizer sees the first element too many.
struct Flows {
  explicit Flows(std::size_t count, std::mt19937& random)
      : size(count), saddr(count), source(count), destination(count), buckets(count) {
    for (std::size_t i = 0; i < count; ++i) {
      saddr[i] = static_cast<std::uint32_t>(random());
      source[i] = static_cast<std::uint16_t>(random());
      destination[i] = static_cast<std::uint16_t>(random());
    }
    if (count > 0) saddr[0] = source[0] = destination[0] = 0;
    if (count > 1) saddr[1] = 0xffffffff;
  }

  std::size_t size;
  std::vector<std::uint32_t> saddr;
  std::vector<std::uint16_t> source;
  std::vector<std::uint16_t> destination;
  std::vector<std::uint8_t> buckets;
};

unsigned wrong_buckets(Flows& flows, const clusterip_rule& rule, BatchPath path) {
  buckets_of({.saddr_host = flows.saddr,
              .source_ports = flows.source,
              .destination_ports = flows.destination,
              .buckets = flows.buckets},
             rule, path);
  unsigned wrong = 0;
  for (std::size_t i = 0; i < flows.size; ++i) {
    const clusterip_port_words ports{.source = flows.source[i],
                                     .destination = flows.destination[i]};
    if (flows.buckets[i] != clusterip_bucket_of(flows.saddr[i], ports, &rule)) ++wrong;
  }
  return wrong;
}

}  // namespace

TEST(batch_paths_give_the_buckets_of_single_flows) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same flows every time
  for (std::size_t path = 0; path < kBatchPathNames.size(); ++path) {
    if (!can_run(static_cast<BatchPath>(path))) continue;
    // With AVX-512 there are 64 at a time, then 16, then one.
    for (std::size_t size = 0; size < 150; ++size) {
      Flows flows(size, random);
      for (unsigned mode = 0; mode < 3; ++mode) {
        for (const unsigned total : {1u, 2u, 3u, 7u, 15u, 16u}) {
          const clusterip_rule rule{.hash_init = static_cast<std::uint32_t>(random()),
                                    .local_mask = 0,
                                    .hash_mode = static_cast<std::uint8_t>(mode),
                                    .bucket_count = static_cast<std::uint8_t>(total)};
          CHECK_EQUAL(wrong_buckets(flows, rule, static_cast<BatchPath>(path)), 0u);
        }
      }
    }
  }
}

TEST(batch_takes_the_best_path_that_can_run) {
  CHECK(can_run(best_path()));
  CHECK(can_run(BatchPath::kScalar));
  CHECK(can_run(BatchPath::kPortable));
  CHECK(!can_run(BatchPath::kCount));
}

}  // namespace clusterip::test
