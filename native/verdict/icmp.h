// ICMP (RFC 792, RFC 950): requests are flows without ports; an error is judged by the packet that
// it is about, with its direction turned round, so that the owner of that flow gets it.
#pragma once

#include "verdict/flow.h"
#include "verdict/ipv4_header.h"

enum { CLUSTERIP_ICMP_HEADER = 8 };

// Echo, timestamp, information and address mask request.
CLUSTERIP_INLINE bool clusterip_is_icmp_request(uint8_t type) {
  return type == 8 || type == 13 || type == 15 || type == 17;
}

// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
CLUSTERIP_INLINE bool clusterip_is_icmp_error(uint8_t type) {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

// At `offset` is the packet that the error is about, which may be cut at `end`.
CLUSTERIP_INLINE enum clusterip_reason clusterip_judge_icmp_error(
    const struct clusterip_frame* frame, struct clusterip_judgement* judgement, uint32_t vip_wire,
    uint32_t offset, uint32_t end) {
  const struct clusterip_port_words none = {0, 0};
  struct clusterip_ipv4_header inner;
  if (offset + CLUSTERIP_IPV4_HEADER > end) return REASON_ICMP_INNER_TRUNCATED;
  if (!clusterip_load(frame, offset, &inner, sizeof inner)) return CLUSTERIP_UNREADABLE;
  const uint32_t header_length = clusterip_header_length(&inner);
  if (clusterip_version(&inner) != 4 || header_length < CLUSTERIP_IPV4_HEADER) {
    return REASON_ICMP_INNER_MALFORMED;
  }
  if (inner.saddr != vip_wire) return REASON_ICMP_OTHER_FLOW;
  if (clusterip_is_later_fragment(&inner)) return REASON_ICMP_INNER_FRAGMENT;
  judgement->by_inner_flow = true;
  const int ports_offset = clusterip_ports_offset(inner.protocol);
  if (ports_offset < 0 || judgement->rule.hash_mode == HASH_SOURCE_IP) {
    return clusterip_judge_flow(judgement, inner.daddr, none);
  }
  // The SPI of what the virtual IP sent says nothing of the SPI of what it receives.
  if (inner.protocol == CLUSTERIP_PROTOCOL_ESP || inner.protocol == CLUSTERIP_PROTOCOL_AH) {
    return REASON_ICMP_INNER_SPI;
  }
  // Those that are left have their ports at offset 0.
  const uint32_t ports_at = offset + header_length;
  struct clusterip_port_words ports;
  if (ports_at + CLUSTERIP_PORT_WORDS > end) return REASON_ICMP_INNER_TRUNCATED;
  if (!clusterip_load_ports(frame, ports_at, &ports)) return CLUSTERIP_UNREADABLE;
  const struct clusterip_port_words turned = {ports.destination, ports.source};
  return clusterip_judge_flow(judgement, inner.daddr, turned);
}

// At `offset` is the ICMP header; the packet ends at `end`.
CLUSTERIP_INLINE enum clusterip_reason clusterip_judge_icmp(
    const struct clusterip_frame* frame, struct clusterip_judgement* judgement,
    const struct clusterip_ipv4_header* header, uint32_t offset, uint32_t end) {
  const struct clusterip_port_words none = {0, 0};
  uint8_t type;
  if (offset + CLUSTERIP_ICMP_HEADER > end) return REASON_ICMP_TRUNCATED;
  if (!clusterip_load(frame, offset, &type, sizeof type)) return CLUSTERIP_UNREADABLE;
  if (clusterip_is_icmp_request(type)) {
    return clusterip_judge_flow(judgement, header->saddr, none);
  }
  if (clusterip_is_icmp_error(type)) {
    return clusterip_judge_icmp_error(frame, judgement, header->daddr,
                                      offset + CLUSTERIP_ICMP_HEADER, end);
  }
  return REASON_ICMP_UNSOLICITED;
}
