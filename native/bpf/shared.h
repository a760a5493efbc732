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

// Map "virtual_ips": by address as on the wire. One write of a value moves buckets.
struct clusterip_virtual_ip {
  __u32 hash_init;
  __u16 local_mask;  // bit bucket - 1
  __u8 hash_mode;
  __u8 total_nodes;
  __u32 slot;  // index into "vip_counters"
  __u8 cluster_mac[6];
  __u8 flags;
  __u8 reserved;
};

struct clusterip_tally {
  __u64 frames;
  __u64 bytes;  // with the Ethernet header
};

// Map "vip_counters", per CPU.
struct clusterip_vip_counters {
  struct clusterip_tally local[CLUSTERIP_MAX_NODES];    // by bucket - 1
  struct clusterip_tally foreign[CLUSTERIP_MAX_NODES];  // by bucket - 1
  struct clusterip_tally without_bucket;                // accepted later fragments and the like
};

// Map "nic_counters", per CPU, one entry.
struct clusterip_nic_counters {
  struct clusterip_tally by_reason[REASON_COUNT];
};
