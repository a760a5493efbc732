// What the programs in the kernel and their loader (native/src/bpf_dataplane.cc) agree on: the
// values of the maps and the numbers of the reasons. C and C++ both read it.
#pragma once

#include <linux/types.h>

enum {
  CLUSTERIP_MAX_NODES = 16,  // CLUSTERIP_MAX_NODES of ipt_CLUSTERIP.h
  // Per interface. The counters of one take 528 octets per CPU and are allocated in advance.
  CLUSTERIP_MAX_VIRTUAL_IPS = 256
};

// In the order of reasonCatalogue in src/core/verdict.ts.
enum clusterip_reason {
  REASON_LOCAL_BUCKET,
  REASON_LATER_FRAGMENT,
  REASON_ICMP_INNER_SPI,
  REASON_FOREIGN_BUCKET,
  REASON_NOT_IPV4,
  REASON_VLAN_TAGGED,
  REASON_OTHER_HOST,
  REASON_OTHER_ADDRESS,
  REASON_ETHERNET_TRUNCATED,
  REASON_IPV4_TRUNCATED,
  REASON_IPV4_VERSION,
  REASON_IPV4_HEADER_LENGTH,
  REASON_IPV4_TOTAL_LENGTH,
  REASON_PORTS_TRUNCATED,
  REASON_ICMP_TRUNCATED,
  REASON_ICMP_INNER_TRUNCATED,
  REASON_ICMP_INNER_MALFORMED,
  REASON_ICMP_INNER_FRAGMENT,
  REASON_ICMP_OTHER_FLOW,
  REASON_ICMP_UNSOLICITED,
  REASON_COUNT
};

// The index into hashModes of src/core/bucket.ts: the number of port words that are hashed.
enum clusterip_hash_mode { HASH_SOURCE_IP, HASH_SOURCE_PORT, HASH_SOURCE_DEST_PORT };

enum clusterip_flags {
  VIRTUAL_IP_OWNS_MAC = 1  // the MAC subscription was made by us, and goes with the virtual IP
};

// Two words of 64 bits, each written and read at once.
struct clusterip_virtual_ip {
  // What decides about a frame: one write moves buckets, or changes the hash with them.
  __u32 hash_init;
  __u16 local_mask;  // bit bucket - 1
  __u8 hash_mode;
  __u8 total_nodes;

  __u8 cluster_mac[6];
  __u8 flags;
  __u8 slot;  // index into "vip_counters"
};

struct clusterip_tally {
  __u64 frames;
  __u64 bytes;  // with the Ethernet header
};

// Map "vip_counters", per CPU. Counts on when its slot goes to another virtual IP: so the sum over
// all slots is exact at any time, and what one virtual IP has is the difference to its baseline.
struct clusterip_vip_counters {
  struct clusterip_tally local[CLUSTERIP_MAX_NODES];    // by bucket - 1
  struct clusterip_tally foreign[CLUSTERIP_MAX_NODES];  // by bucket - 1
  struct clusterip_tally without_bucket;                // accepted later fragments and the like
};

// Map "nic_counters", per CPU, one entry. Frames with a bucket are counted in "vip_counters" alone.
struct clusterip_nic_counters {
  struct clusterip_tally by_reason[REASON_COUNT];
};

// A hash table with open addressing. A virtual IP lies in the first place that is not taken, from
// the home of its address on; as at most CLUSTERIP_MAX_VIRTUAL_IPS are taken, no address needs
// more probes than that, and every placement succeeds. A place that others may lie behind is not
// empty again but "removed", and nothing is ever moved: a search that runs meanwhile misses nothing.
enum {
  CLUSTERIP_PLACES_SHIFT = 9,
  CLUSTERIP_PLACES = 1 << CLUSTERIP_PLACES_SHIFT,
  CLUSTERIP_MAX_PROBES = CLUSTERIP_MAX_VIRTUAL_IPS
};

enum clusterip_place_state { PLACE_EMPTY, PLACE_TAKEN, PLACE_REMOVED };

struct clusterip_place {
  __u64 key;       // clusterip_key, 0 when empty
  __u64 words[2];  // a struct clusterip_virtual_ip; 0 unless taken
  __u64 unused;    // none lies across two cache lines
};

// `address` as on the wire.
static inline __u64 clusterip_key(__u32 address, enum clusterip_place_state state) {
  return (__u64)state << 32 | address;
}

static inline __u32 clusterip_home(__u32 address) {
  return address * 0x9e3779b1u >> (32 - CLUSTERIP_PLACES_SHIFT);  // Knuth's multiplicative hash
}

// Map "vip_table", one entry, in the memory of the loader too.
struct clusterip_vip_table {
  struct clusterip_place places[CLUSTERIP_PLACES];
  // The rest is the loader's, kept here for its next life.
  __u64 used_slots;  // no slot from this one on has ever been used
  struct clusterip_vip_counters baselines[CLUSTERIP_MAX_VIRTUAL_IPS];  // by slot
};
