// The verdict on one Ethernet frame: native/src/verdict.cc in C, function by function, and
// src/core/classify.ts before it. What differs is how octets are read (frame.h), and that a
// frame may not be readable in the way that was tried.
#pragma once

#include "bucket.h"
#include "frame.h"
#include "maps.h"

#define ETHERNET_HEADER 14  // IEEE 802.3: two addresses and the EtherType
#define VLAN_TAG 4          // IEEE 802.1Q
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_VLAN 0x8100  // 802.1Q
#define ETHERTYPE_QINQ 0x88a8  // 802.1ad
#define VLAN_ID_MASK 0x0fff
// The verifier wants a bound. Nobody puts one priority tag into another; a frame with more of
// them counts as tagged. The kernel would take all of them off and hand the host a frame that
// nobody has judged: it is dropped.
#define MAX_TAGS 4
#define IPV4_HEADER 20  // without options
#define FRAGMENT_OFFSET_MASK 0x1fff
#define ICMP_HEADER 8  // RFC 792
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_ESP 50
#define PROTOCOL_AH 51
#define PACKET_TYPE_OTHER_HOST 3  // linux/if_packet.h
// No verdict: the frame has to be read in the other way.
#define UNREADABLE REASON_COUNT

// RFC 791, without options.
struct ipv4_header {
  __u8 version_and_length;
  __u8 tos;
  __be16 total_length;
  __be16 id;
  __be16 fragment;
  __u8 ttl;
  __u8 protocol;
  __be16 checksum;
  __be32 saddr;
  __be32 daddr;
};

struct judgement {
  enum clusterip_reason reason;
  __u8 bucket;   // 1 to total_nodes, 0 when no bucket was computed
  bool is_ours;  // the destination address is a virtual IP, and this is it
  bool has_too_many_tags;
  union {
    struct clusterip_virtual_ip virtual_ip;
    __u64 words[2];
  };
  __u32 payload_offset;  // of what follows the IPv4 header, set with a bucket
  __u8 protocol;
};

static __always_inline __u32 header_length_of(const struct ipv4_header* header) {
  return (header->version_and_length & 0x0fu) * 4u;
}

static __always_inline bool is_later_fragment(const struct ipv4_header* header) {
  return (header->fragment & bpf_htons(FRAGMENT_OFFSET_MASK)) != 0;
}

// ICMP types by RFC 792 and RFC 950.
static __always_inline bool is_icmp_request(__u8 type) {
  return type == 8 || type == 13 || type == 15 || type == 17;
}

static __always_inline bool is_icmp_error(__u8 type) {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static __always_inline enum clusterip_reason decide(struct judgement* judgement, __be32 client,
                                                    struct port_words ports) {
  const struct clusterip_virtual_ip* virtual_ip = &judgement->virtual_ip;
  judgement->bucket = bucket_of(client, ports, virtual_ip);
  const bool is_local = (virtual_ip->local_mask >> (judgement->bucket - 1)) & 1;
  return is_local ? REASON_LOCAL_BUCKET : REASON_FOREIGN_BUCKET;
}

// An ICMP error: at `offset` is the packet from the virtual IP that it is about, possibly cut
// at `end`.
static __always_inline enum clusterip_reason judge_icmp_error(const struct frame* frame,
                                                              struct judgement* judgement,
                                                              __be32 vip, __u32 offset, __u32 end) {
  const struct port_words none = {};
  struct ipv4_header inner;
  if (offset + IPV4_HEADER > end) return REASON_ICMP_INNER_TRUNCATED;
  if (!load(frame, offset, &inner, sizeof inner)) return UNREADABLE;
  const __u32 header_length = header_length_of(&inner);
  if (inner.version_and_length >> 4 != 4 || header_length < IPV4_HEADER) {
    return REASON_ICMP_INNER_MALFORMED;
  }
  if (inner.saddr != vip) return REASON_ICMP_OTHER_FLOW;
  if (is_later_fragment(&inner)) return REASON_ICMP_INNER_FRAGMENT;
  const int ports_at = ports_offset(inner.protocol);
  if (ports_at < 0 || judgement->virtual_ip.hash_mode == HASH_SOURCE_IP) {
    return decide(judgement, inner.daddr, none);
  }
  if (inner.protocol == PROTOCOL_ESP || inner.protocol == PROTOCOL_AH) {
    return REASON_ICMP_INNER_SPI;
  }
  struct port_words ports;
  if (offset + header_length + sizeof ports > end) return REASON_ICMP_INNER_TRUNCATED;
  if (!load(frame, offset + header_length, &ports, sizeof ports)) return UNREADABLE;
  // The direction is turned round: from the virtual IP's client.
  const struct port_words turned = {.source = ports.destination, .destination = ports.source};
  return decide(judgement, inner.daddr, turned);
}

// `offset` is that of the payload, `end` that of the packet without its padding.
static __always_inline enum clusterip_reason judge_transport(const struct frame* frame,
                                                             struct judgement* judgement,
                                                             const struct ipv4_header* header,
                                                             __u32 offset, __u32 end) {
  const struct port_words none = {};
  if (header->protocol == PROTOCOL_ICMP) {
    __u8 type;
    if (offset + ICMP_HEADER > end) return REASON_ICMP_TRUNCATED;
    if (!load(frame, offset, &type, sizeof type)) return UNREADABLE;
    if (is_icmp_request(type)) return decide(judgement, header->saddr, none);
    if (is_icmp_error(type)) {
      return judge_icmp_error(frame, judgement, header->daddr, offset + ICMP_HEADER, end);
    }
    return REASON_ICMP_UNSOLICITED;
  }
  const int ports_at = ports_offset(header->protocol);
  if (ports_at < 0) return decide(judgement, header->saddr, none);
  struct port_words ports;
  if (offset + ports_at + sizeof ports > end) return REASON_PORTS_TRUNCATED;
  if (!load(frame, offset + ports_at, &ports, sizeof ports)) return UNREADABLE;
  return decide(judgement, header->saddr, ports);
}

static __always_inline enum clusterip_reason judge_ipv4(const struct frame* frame,
                                                        struct judgement* judgement, __u32 offset) {
  struct ipv4_header header;
  if (frame->length - offset < IPV4_HEADER) return REASON_IPV4_TRUNCATED;
  if (!load(frame, offset, &header, sizeof header)) return UNREADABLE;
  if (header.version_and_length >> 4 != 4) return REASON_IPV4_VERSION;
  const struct clusterip_place* place = find_place(header.daddr);
  if (!place) return REASON_OTHER_ADDRESS;
  judgement->is_ours = true;
  judgement->words[0] = read_once(&place->words[0]);
  judgement->words[1] = read_once(&place->words[1]);
  __u32 total_length = bpf_ntohs(header.total_length);
  // A merged frame of more than 64 KiB ("BIG TCP", Linux 6.3) has no total length.
  if (total_length == 0 && frame->is_merged) {
    total_length = frame->length - offset;
  }
  const __u32 header_length = header_length_of(&header);
  if (total_length > frame->length - offset) return REASON_IPV4_TOTAL_LENGTH;
  if (header_length < IPV4_HEADER || header_length > total_length) {
    return REASON_IPV4_HEADER_LENGTH;
  }
  if (is_later_fragment(&header)) return REASON_LATER_FRAGMENT;
  judgement->payload_offset = offset + header_length;
  judgement->protocol = header.protocol;
  return judge_transport(frame, judgement, &header, offset + header_length, offset + total_length);
}

static __always_inline bool is_tag(__u16 ether_type) {
  return ether_type == ETHERTYPE_VLAN || ether_type == ETHERTYPE_QINQ;
}

static __always_inline enum clusterip_reason judge(const struct frame* frame, __u32 packet_type,
                                                   struct judgement* judgement) {
  __u32 offset = ETHERNET_HEADER;
  __u16 ether_type;
  if (frame->length < ETHERNET_HEADER) return REASON_ETHERNET_TRUNCATED;
  if (!load_be16(frame, ETHERNET_HEADER - 2, &ether_type)) return UNREADABLE;
  // Read directly, an offset that depends on tags would make the verifier follow everything
  // behind it once for each number of them. The kernel has taken the outer tag off, and nobody
  // needs a second one to be fast.
  if (!frame->skb && is_tag(ether_type)) return UNREADABLE;
#pragma unroll
  for (int tag = 0; tag < MAX_TAGS; ++tag) {
    if (!is_tag(ether_type)) break;
    __u16 control;  // VLAN 0 only carries a priority and belongs to the interface itself
    if (frame->length < offset + VLAN_TAG) return REASON_ETHERNET_TRUNCATED;
    if (!load_be16(frame, offset, &control)) return UNREADABLE;
    if ((control & VLAN_ID_MASK) != 0) return REASON_VLAN_TAGGED;
    if (!load_be16(frame, offset + 2, &ether_type)) return UNREADABLE;
    offset += VLAN_TAG;
  }
  judgement->has_too_many_tags = is_tag(ether_type);
  if (judgement->has_too_many_tags) return REASON_VLAN_TAGGED;
  if (ether_type != ETHERTYPE_IPV4) return REASON_NOT_IPV4;
  if (packet_type == PACKET_TYPE_OTHER_HOST) return REASON_OTHER_HOST;
  return judge_ipv4(frame, judgement, offset);
}
