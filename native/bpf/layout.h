// What the programs in the kernel and their loader (native/loader) agree on: the values of the
// maps. C and C++ both read it. A change counts MAP_LAYOUT of src/core/facts.ts up: the programs of
// an older daemon go on with what they have, and this one must not take it for its own.
#pragma once

#include "verdict/judgement.h"

enum clusterip_flags {
  VIRTUAL_IP_OWNS_MAC = 1  // the MAC subscription was made by us, and goes with the virtual IP
};

// Two words of 64 bits, each written and read at once.
struct clusterip_virtual_ip {
  // What decides about a frame: one write moves buckets, or changes the hash with them.
  struct clusterip_rule rule;

  uint8_t cluster_mac[6];
  uint8_t flags;
  uint8_t slot;  // index into "vip_counters"
};

struct clusterip_tally {
  uint64_t frames;
  uint64_t bytes;  // with the Ethernet header
};

// Map "vip_counters", per CPU. Counts on when its slot goes to another virtual IP: so the sum over
// all slots is exact at any time, and what one virtual IP has is the difference to its baseline.
struct clusterip_vip_counters {
  struct clusterip_tally local[CLUSTERIP_MAX_BUCKETS];    // by bucket - 1
  struct clusterip_tally foreign[CLUSTERIP_MAX_BUCKETS];  // by bucket - 1
  struct clusterip_tally without_bucket;                  // accepted later fragments and the like
};

// Map "nic_counters", per CPU, one entry. Frames with a bucket are counted in "vip_counters" alone.
struct clusterip_nic_counters {
  struct clusterip_tally by_reason[CLUSTERIP_REASON_ROOM];
};

// A hash table with open addressing. A virtual IP lies in the first place that is not taken, from
// the home of its address on; as at most CLUSTERIP_MAX_VIRTUAL_IPS are taken, no address needs
// more probes than that, and every placement succeeds. A place that others may lie behind is not
// empty again but "removed", and nothing is ever moved: a search that runs meanwhile misses
// nothing.
enum {
  CLUSTERIP_PLACES_SHIFT = 9,
  CLUSTERIP_PLACES = 1 << CLUSTERIP_PLACES_SHIFT,
  CLUSTERIP_MAX_PROBES = CLUSTERIP_MAX_VIRTUAL_IPS
};

enum clusterip_place_state { PLACE_EMPTY, PLACE_TAKEN, PLACE_REMOVED };

struct clusterip_place {
  uint64_t key;       // clusterip_key, 0 when empty
  uint64_t words[2];  // a struct clusterip_virtual_ip; 0 unless taken
  uint64_t unused;    // none lies across two cache lines
};

// Map "vip_table", one entry, in the memory of the loader too.
struct clusterip_vip_table {
  struct clusterip_place places[CLUSTERIP_PLACES];
  // The rest is the loader's, kept here for its next life.
  uint64_t used_slots;  // no slot from this one on has ever been used
  struct clusterip_vip_counters baselines[CLUSTERIP_MAX_VIRTUAL_IPS];  // by slot
};

// `address` as on the wire.
CLUSTERIP_INLINE uint64_t clusterip_key(uint32_t address, enum clusterip_place_state state) {
  return (uint64_t)state << 32 | address;
}

CLUSTERIP_INLINE uint32_t clusterip_home(uint32_t address) {
  return address * 0x9e3779b1u >> (32 - CLUSTERIP_PLACES_SHIFT);  // Knuth's multiplicative hash
}

// Once, and whole: the loader may write it at the same moment.
CLUSTERIP_INLINE uint64_t clusterip_read_once(const uint64_t* word) {
#if defined(__bpf__)
  return *(const volatile uint64_t*)word;
#else
  return __atomic_load_n(word, __ATOMIC_SEQ_CST);
#endif
}

// The place of an address that is not in its home, CLUSTERIP_PLACES when it is nowhere.
static inline uint32_t clusterip_search_behind_home(const struct clusterip_vip_table* table,
                                                    uint32_t address) {
  const uint64_t wanted = clusterip_key(address, PLACE_TAKEN);
  const uint32_t home = clusterip_home(address);
#if defined(__bpf__)
#pragma clang loop unroll(disable)
#endif
  for (uint32_t probe = 1; probe < CLUSTERIP_MAX_PROBES; ++probe) {
    const uint32_t at = (home + probe) & (CLUSTERIP_PLACES - 1);
    const uint64_t key = clusterip_read_once(&table->places[at].key);
    if (key == wanted) return at;
    if (key == 0) break;
  }
  return CLUSTERIP_PLACES;
}

// The place of an address, CLUSTERIP_PLACES when it is nowhere.
static inline uint32_t clusterip_place_of(const struct clusterip_vip_table* table,
                                          uint32_t address) {
  const uint32_t home = clusterip_home(address);
  const uint64_t key = clusterip_read_once(&table->places[home].key);
  if (key == clusterip_key(address, PLACE_TAKEN)) return home;
  return key == 0 ? (uint32_t)CLUSTERIP_PLACES : clusterip_search_behind_home(table, address);
}
