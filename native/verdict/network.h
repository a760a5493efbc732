// The IPv4 packet: whose address it is for, and whether it is whole.
#pragma once

#include "verdict/transport.h"

// At `offset` is the IPv4 header; Ethernet padding may follow the packet.
CLUSTERIP_INLINE enum clusterip_reason clusterip_judge_ipv4(const struct clusterip_frame* frame,
                                                            struct clusterip_judgement* judgement,
                                                            uint32_t offset) {
  struct clusterip_ipv4_header header;
  const uint32_t octets = frame->length - offset;
  if (octets < CLUSTERIP_IPV4_HEADER) return REASON_IPV4_TRUNCATED;
  if (!clusterip_load(frame, offset, &header, sizeof header)) return CLUSTERIP_UNREADABLE;
  if (clusterip_version(&header) != 4) return REASON_IPV4_VERSION;
  judgement->is_ours = clusterip_find(frame, header.daddr, judgement);
  if (!judgement->is_ours) return REASON_OTHER_ADDRESS;
  uint32_t total_length = clusterip_swap16(header.total_length);
  // A merged frame of more than 64 KiB ("BIG TCP", Linux 6.3) has no total length.
  if (total_length == 0 && frame->is_merged) total_length = octets;
  const uint32_t header_length = clusterip_header_length(&header);
  if (total_length > octets) return REASON_IPV4_TOTAL_LENGTH;
  if (header_length < CLUSTERIP_IPV4_HEADER || header_length > total_length) {
    return REASON_IPV4_HEADER_LENGTH;
  }
  judgement->ip_offset = offset;
  judgement->ip_length = total_length;
  // A later fragment has no ports. Every node takes it; only the owner of the flow has the first
  // one and completes the datagram.
  if (clusterip_is_later_fragment(&header)) return REASON_LATER_FRAGMENT;
  judgement->payload_offset = offset + header_length;
  judgement->protocol = header.protocol;
  return clusterip_judge_transport(frame, judgement, &header, offset + header_length,
                                   offset + total_length);
}
