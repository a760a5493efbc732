// The programs of engine "bpf". Both stand before everything else that this host does with a
// frame of the interface:
//
//   NIC --> clusterip_xdp --> GRO, taps --> clusterip_tc --> other tc programs, nft, IP stack
//             '--> foreign frames             '--> whatever else the virtual IP does not
//                  to the cluster MAC:             accept: dropped
//                  dropped
//
// The tc program alone is enough for correctness. The XDP program makes a foreign frame cheap:
// it is dropped before the kernel has allocated anything for it. It only drops what the tc
// program would drop, and where there is none (another one is attached, or it does not pay
// with this driver) nothing is lost but time.
//
// A frame is counted once, by the program that decides on it.
#include "verdict.h"

// TC_ACT_UNSPEC and TCX_NEXT are the same number: the next program, then the stack.
#define NEXT (-1)
#define SHOT 2  // TC_ACT_SHOT, TCX_DROP
#define PACKET_TYPE_HOST 0

static __always_inline void add(struct clusterip_tally* tally, __u32 frames, __u64 bytes) {
  tally->frames += frames;
  tally->bytes += bytes;
}

static __always_inline void count(const struct judgement* judgement, __u32 frames, __u64 bytes) {
  const __u32 reason = judgement->reason;
  if (judgement->is_ours && reason <= REASON_FOREIGN_BUCKET) {
    const __u32 slot = judgement->virtual_ip.slot;
    struct clusterip_vip_counters* by_bucket = bpf_map_lookup_elem(&vip_counters, &slot);
    if (!by_bucket) return;
    const __u32 index = (judgement->bucket - 1u) & (CLUSTERIP_MAX_NODES - 1);
    // Those two are what nearly all frames are: they take one counter.
    if (reason == REASON_LOCAL_BUCKET) {
      add(&by_bucket->local[index], frames, bytes);
      return;
    }
    if (reason == REASON_FOREIGN_BUCKET) {
      add(&by_bucket->foreign[index], frames, bytes);
      return;
    }
    add(&by_bucket->without_bucket, frames, bytes);
  }
  const __u32 nic = 0;
  struct clusterip_nic_counters* by_reason = bpf_map_lookup_elem(&nic_counters, &nic);
  if (by_reason && reason < REASON_COUNT) add(&by_reason->by_reason[reason], frames, bytes);
}

// Several frames of one connection may arrive here as one. They count as what they were on the
// wire, as the XDP program counts them: otherwise the buckets could not be compared.
static __always_inline void count_skb(struct __sk_buff* skb, const struct judgement* judgement) {
  const __u32 segment = skb->gso_size;
  const __u32 length = skb->len;
  if (segment == 0 || judgement->bucket == 0) {
    count(judgement, 1, length);
    return;
  }
  __u32 headers = judgement->payload_offset + 8;  // UDP
  if (judgement->protocol == PROTOCOL_TCP) {
    __u8 data_offset = 5 << 4;  // RFC 9293: in words, the upper half of the octet
    bpf_skb_load_bytes(skb, judgement->payload_offset + 12, &data_offset, 1);
    headers = judgement->payload_offset + (data_offset >> 4) * 4;
  }
  const __u32 payload = length > headers ? length - headers : 0;
  const __u32 frames = payload > segment ? (payload + segment - 1) / segment : 1;
  count(judgement, frames, length + (__u64)(frames - 1) * headers);
}

SEC("tc")
int clusterip_tc(struct __sk_buff* skb) {
  const __u32 packet_type = skb->pkt_type;
  struct judgement judgement = {};
  // The outer tag is in the metadata: the driver or the kernel has taken it off.
  if (skb->vlan_present && (skb->vlan_tci & VLAN_ID_MASK) != 0) {
    judgement.reason = REASON_VLAN_TAGGED;
  } else {
    struct frame frame = {.data = (const __u8*)(long)skb->data,
                          .end = (const __u8*)(long)skb->data_end,
                          .length = skb->len,
                          .is_merged = skb->gso_size != 0};
    judgement.reason = judge(&frame, packet_type, &judgement);
    if (judgement.reason == UNREADABLE) {
      frame.skb = skb;
      judgement.reason = judge(&frame, packet_type, &judgement);
    }
  }
  count_skb(skb, &judgement);
  if (!judgement.is_ours) return NEXT;
  if (judgement.reason >= REASON_FOREIGN_BUCKET) return SHOT;
  // TCP refuses a frame that arrived as link-layer multicast.
  if (packet_type != PACKET_TYPE_HOST) bpf_skb_change_type(skb, PACKET_TYPE_HOST);
  return NEXT;
}

// The word with the MAC address holds two octets behind it, as does the frame.
static __always_inline bool is_to_mac(const __u8* frame, const __u64* word) {
  const __u64 start = read_once((const __u64*)frame);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return (start ^ *word) << 16 == 0;
#else
  return (start ^ *word) >> 16 == 0;
#endif
}

SEC("xdp")
int clusterip_xdp(struct xdp_md* context) {
  const struct frame frame = {.data = (const __u8*)(long)context->data,
                              .end = (const __u8*)(long)context->data_end,
                              .length = context->data_end - context->data};
  // How a frame was addressed is not known here, and a driver may have taken off a VLAN tag
  // without a trace: only what was sent to the cluster MAC is certainly meant for the cluster.
  if (frame.data + ETHERNET_HEADER > frame.end || (frame.data[0] & 1) == 0) return XDP_PASS;
  struct judgement judgement = {};
  judgement.reason = judge(&frame, 0, &judgement);
  if (judgement.reason != REASON_FOREIGN_BUCKET) return XDP_PASS;
  if (!is_to_mac(frame.data, &judgement.words[1])) return XDP_PASS;
  count(&judgement, 1, frame.length);
  return XDP_DROP;
}

// Some helpers are reserved for programs under a licence that is compatible with the GPL;
// those used here are not, but the kernel asks.
char LICENSE[] SEC("license") = "Dual MIT/GPL";
