// The IPv4 header (RFC 791), of a frame and of the packet in an ICMP error.
#pragma once

#include "verdict/frame.h"

enum {
  CLUSTERIP_IPV4_HEADER = 20,  // without options
  CLUSTERIP_FRAGMENT_OFFSET_MASK = 0x1fff,
};

// As on the wire, without options.
struct clusterip_ipv4_header {
  uint8_t version_and_length;
  uint8_t tos;
  uint16_t total_length;
  uint16_t id;
  uint16_t fragment;
  uint8_t ttl;
  uint8_t protocol;
  uint16_t checksum;
  uint32_t saddr;
  uint32_t daddr;
};

CLUSTERIP_INLINE uint32_t clusterip_version(const struct clusterip_ipv4_header* header) {
  return header->version_and_length >> 4;
}

// In octets.
CLUSTERIP_INLINE uint32_t clusterip_header_length(const struct clusterip_ipv4_header* header) {
  return (header->version_and_length & 0x0fu) * 4u;
}

CLUSTERIP_INLINE bool clusterip_is_later_fragment(const struct clusterip_ipv4_header* header) {
  return (header->fragment & clusterip_swap16(CLUSTERIP_FRAGMENT_OFFSET_MASK)) != 0;
}
