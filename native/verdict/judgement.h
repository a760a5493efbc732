// What an engine gives the verdict about a virtual IP, and what it gets. Plain C, also for C++.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "generated/facts.h"

#define CLUSTERIP_INLINE static inline __attribute__((always_inline))

// What decides about a packet to a virtual IP: one word, so that one write changes all of it.
struct clusterip_rule {
  uint32_t hash_init;
  uint16_t local_mask;  // bit bucket - 1
  uint8_t hash_mode;    // enum clusterip_hash_mode
  uint8_t bucket_count;
};

struct clusterip_judgement {
  enum clusterip_reason reason;
  uint32_t ip_offset;       // of the IPv4 header
  uint32_t ip_length;       // the IPv4 total length
  uint32_t payload_offset;  // of what follows the IPv4 header
  uint8_t protocol;
  uint8_t bucket;      // 1 to rule.bucket_count, 0 when no bucket was computed
  bool is_ours;        // the destination address is a virtual IP, with this rule
  bool by_inner_flow;  // the bucket is that of the packet in an ICMP error
  bool has_too_many_tags;
  struct clusterip_rule rule;
  uint64_t engine_word;  // what the engine knows the virtual IP by
};

// No reason: the engine cannot read the frame in the way that was tried.
#define CLUSTERIP_UNREADABLE REASON_COUNT

CLUSTERIP_INLINE uint16_t clusterip_swap16(uint16_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return __builtin_bswap16(value);
#else
  return value;
#endif
}

CLUSTERIP_INLINE uint32_t clusterip_swap32(uint32_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return __builtin_bswap32(value);
#else
  return value;
#endif
}
