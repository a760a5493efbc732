// The Ethernet frame (IEEE 802.3) and the tags in it.
#pragma once

#include "verdict/network.h"

enum {
  CLUSTERIP_ETHERNET_HEADER = 14,  // two addresses and the EtherType
  CLUSTERIP_VLAN_TAG = 4,          // IEEE 802.1Q
  CLUSTERIP_VLAN_ID_MASK = 0x0fff,
  CLUSTERIP_ETHERTYPE_IPV4 = 0x0800,
  CLUSTERIP_ETHERTYPE_VLAN = 0x8100,  // 802.1Q
  CLUSTERIP_ETHERTYPE_QINQ = 0x88a8,  // 802.1ad
};

// Nothing is inlined for the verifier that is not unrolled too.
#if defined(__bpf__)
#define CLUSTERIP_UNROLL _Pragma("unroll")
#else
#define CLUSTERIP_UNROLL
#endif

CLUSTERIP_INLINE bool clusterip_is_tag(uint16_t ether_type) {
  return ether_type == CLUSTERIP_ETHERTYPE_VLAN || ether_type == CLUSTERIP_ETHERTYPE_QINQ;
}

// `packet_type` is an enum clusterip_packet_type: how the frame was addressed.
CLUSTERIP_INLINE enum clusterip_reason clusterip_judge_link(const struct clusterip_frame* frame,
                                                            uint32_t packet_type,
                                                            struct clusterip_judgement* judgement) {
  uint32_t offset = CLUSTERIP_ETHERNET_HEADER;
  uint16_t ether_type;
  if (frame->length < CLUSTERIP_ETHERNET_HEADER) return REASON_ETHERNET_TRUNCATED;
  if (!clusterip_load_be16(frame, CLUSTERIP_ETHERNET_HEADER - 2, &ether_type)) {
    return CLUSTERIP_UNREADABLE;
  }
  if (clusterip_is_tag(ether_type)) {
    if (!frame->follows_tags) return CLUSTERIP_UNREADABLE;
    // The kernel has taken the outer tag off; those that are left are inner ones.
    CLUSTERIP_UNROLL
    for (uint32_t tag = 0; tag < frame->max_tags; ++tag) {
      if (!clusterip_is_tag(ether_type)) break;
      uint16_t control;  // VLAN 0 only carries a priority and belongs to the interface itself
      if (frame->length < offset + CLUSTERIP_VLAN_TAG) return REASON_ETHERNET_TRUNCATED;
      if (!clusterip_load_be16(frame, offset, &control)) return CLUSTERIP_UNREADABLE;
      if ((control & CLUSTERIP_VLAN_ID_MASK) != 0) return REASON_VLAN_TAGGED;
      if (!clusterip_load_be16(frame, offset + 2, &ether_type)) return CLUSTERIP_UNREADABLE;
      offset += CLUSTERIP_VLAN_TAG;
    }
    judgement->has_too_many_tags = clusterip_is_tag(ether_type);
    if (judgement->has_too_many_tags) return REASON_VLAN_TAGGED;
  }
  if (ether_type != CLUSTERIP_ETHERTYPE_IPV4) return REASON_NOT_IPV4;
  if (packet_type == PACKET_TYPE_OTHER_HOST) return REASON_OTHER_HOST;
  return clusterip_judge_ipv4(frame, judgement, offset);
}
