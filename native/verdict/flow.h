// The verdict on a flow: whether its bucket is one of this node's.
#pragma once

#include "verdict/frame.h"
#include "verdict/hash.h"

// IANA protocol numbers that the verdict tells apart from others.
enum {
  CLUSTERIP_PROTOCOL_ICMP = 1,
  CLUSTERIP_PROTOCOL_ESP = 50,
  CLUSTERIP_PROTOCOL_AH = 51,
};

enum { CLUSTERIP_PORT_WORDS = 4 };  // octets of both

// `client_wire` is the address of the other side.
CLUSTERIP_INLINE enum clusterip_reason clusterip_judge_flow(struct clusterip_judgement* judgement,
                                                            uint32_t client_wire,
                                                            struct clusterip_port_words ports) {
  const struct clusterip_rule* rule = &judgement->rule;
  judgement->bucket = clusterip_bucket_of(clusterip_swap32(client_wire), ports, rule);
  const bool is_local = ((rule->local_mask >> (judgement->bucket - 1)) & 1) != 0;
  return is_local ? REASON_LOCAL_BUCKET : REASON_FOREIGN_BUCKET;
}

// The octets are there.
CLUSTERIP_INLINE bool clusterip_load_ports(const struct clusterip_frame* frame, uint32_t offset,
                                           struct clusterip_port_words* ports) {
  uint32_t wire;
  if (!clusterip_load(frame, offset, &wire, sizeof wire)) return false;
  *ports = clusterip_port_words_of(wire);
  return true;
}
