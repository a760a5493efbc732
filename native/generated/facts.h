// Written by scripts/generate from src/core: do not edit.
#pragma once

#include <stdbool.h>

enum {
  CLUSTERIP_MAX_BUCKETS = 16,
  // Of one interface, with engine "bpf".
  CLUSTERIP_MAX_VIRTUAL_IPS = 256,
  // Of engine "userspace".
  CLUSTERIP_MAX_WORKERS = 16,
  // Above the number of any reason there will be.
  CLUSTERIP_REASON_ROOM = 64,
};

// The maps of engine "bpf" by their names in the kernel, which end with the number of their layout.
#define CLUSTERIP_MAP_LAYOUT 1
#define CLUSTERIP_VIP_TABLE vip_table_1
#define CLUSTERIP_VIP_COUNTERS vip_counters_1
#define CLUSTERIP_NIC_COUNTERS nic_counters_1
#define CLUSTERIP_VIP_TABLE_NAME "vip_table_1"
#define CLUSTERIP_VIP_COUNTERS_NAME "vip_counters_1"
#define CLUSTERIP_NIC_COUNTERS_NAME "nic_counters_1"

// The number of port words that are hashed.
enum clusterip_hash_mode {
  HASH_SOURCE_IP = 0,
  HASH_SOURCE_IP_SOURCE_PORT = 1,
  HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT = 2,
};

// linux/if_packet.h
enum clusterip_packet_type {
  PACKET_TYPE_HOST = 0,
  PACKET_TYPE_BROADCAST = 1,
  PACKET_TYPE_MULTICAST = 2,
  PACKET_TYPE_OTHER_HOST = 3,
};

enum clusterip_verdict {
  VERDICT_ACCEPT = 0,
  VERDICT_FOREIGN = 1,
  VERDICT_NOT_OURS = 2,
  VERDICT_MALFORMED = 3,
  VERDICT_DROP = 4,
};

enum clusterip_reason {
  REASON_LOCAL_BUCKET = 0,
  REASON_LATER_FRAGMENT = 1,
  REASON_ICMP_INNER_SPI = 2,
  REASON_FOREIGN_BUCKET = 3,
  REASON_NOT_IPV4 = 4,
  REASON_VLAN_TAGGED = 5,
  REASON_OTHER_HOST = 6,
  REASON_OTHER_ADDRESS = 7,
  REASON_ETHERNET_TRUNCATED = 8,
  REASON_IPV4_TRUNCATED = 9,
  REASON_IPV4_VERSION = 10,
  REASON_IPV4_HEADER_LENGTH = 11,
  REASON_IPV4_TOTAL_LENGTH = 12,
  REASON_PORTS_TRUNCATED = 13,
  REASON_ICMP_TRUNCATED = 14,
  REASON_ICMP_INNER_TRUNCATED = 15,
  REASON_ICMP_INNER_MALFORMED = 16,
  REASON_ICMP_INNER_FRAGMENT = 17,
  REASON_ICMP_OTHER_FLOW = 18,
  REASON_ICMP_UNSOLICITED = 19,
  REASON_COUNT = 20,  // one above the highest
};

static inline bool clusterip_is_accepted(enum clusterip_reason reason) {
  switch (reason) {
    case REASON_LOCAL_BUCKET:
    case REASON_LATER_FRAGMENT:
    case REASON_ICMP_INNER_SPI:
      return true;
    default:
      return false;
  }
}

static inline enum clusterip_verdict clusterip_verdict_of(enum clusterip_reason reason) {
  switch (reason) {
    case REASON_LOCAL_BUCKET:
    case REASON_LATER_FRAGMENT:
    case REASON_ICMP_INNER_SPI:
      return VERDICT_ACCEPT;
    case REASON_FOREIGN_BUCKET:
      return VERDICT_FOREIGN;
    case REASON_NOT_IPV4:
    case REASON_VLAN_TAGGED:
    case REASON_OTHER_HOST:
    case REASON_OTHER_ADDRESS:
      return VERDICT_NOT_OURS;
    case REASON_ETHERNET_TRUNCATED:
    case REASON_IPV4_TRUNCATED:
    case REASON_IPV4_VERSION:
    case REASON_IPV4_HEADER_LENGTH:
    case REASON_IPV4_TOTAL_LENGTH:
    case REASON_PORTS_TRUNCATED:
    case REASON_ICMP_TRUNCATED:
    case REASON_ICMP_INNER_TRUNCATED:
    case REASON_ICMP_INNER_MALFORMED:
      return VERDICT_MALFORMED;
    default:
      return VERDICT_DROP;
  }
}

// What the userspace engine drops without a verdict.
enum clusterip_drop {
  DROP_CAPTURE_TRUNCATED = 0,
  DROP_DELIVERY_FAILED = 1,
  DROP_COUNT = 2,  // one above the highest
};
