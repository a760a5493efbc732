// The layer above IPv4: the ports, wherever the protocol has them.
#pragma once

#include "verdict/icmp.h"

// At `offset` is what follows the IPv4 header; the packet ends at `end`.
CLUSTERIP_INLINE enum clusterip_reason clusterip_judge_transport(
    const struct clusterip_frame* frame, struct clusterip_judgement* judgement,
    const struct clusterip_ipv4_header* header, uint32_t offset, uint32_t end) {
  const struct clusterip_port_words none = {0, 0};
  if (header->protocol == CLUSTERIP_PROTOCOL_ICMP) {
    return clusterip_judge_icmp(frame, judgement, header, offset, end);
  }
  const int ports_offset = clusterip_ports_offset(header->protocol);
  if (ports_offset < 0) return clusterip_judge_flow(judgement, header->saddr, none);
  const uint32_t ports_at = offset + (uint32_t)ports_offset;
  struct clusterip_port_words ports;
  if (ports_at + CLUSTERIP_PORT_WORDS > end) return REASON_PORTS_TRUNCATED;
  if (!clusterip_load_ports(frame, ports_at, &ports)) return CLUSTERIP_UNREADABLE;
  return clusterip_judge_flow(judgement, header->saddr, ports);
}
