// Makes every frame of a flood another one: the kernel hands all live frames of a test run to the
// program with the same octets, and a flood of one flow would show the caches and not the work.

// In this order: the helpers use the types of the first.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#define FLOWS 16384

// What differs from flow to flow, as it lies on the wire. Checksums come with it: a wrong one makes
// conntrack give up early, and computing one here would be measured.
struct flow {
  __u8 source_address[4];
  __u16 source_port;
  __u16 ip_checksum;
  __u16 tcp_checksum;
  __u16 unused;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, FLOWS);
  __type(key, __u32);
  __type(value, struct flow);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} next_program SEC(".maps");

// The flood is pinned to one CPU: nobody else writes this. The loader reads it, see flood.c.
struct {
  __u64 position;
  __u64 unchained;
} counters = {};

// Offsets in an Ethernet frame with an IPv4 header without options.
enum {
  IP_CHECKSUM = 24,
  IP_SOURCE = 26,
  TCP_SOURCE_PORT = 34,
  TCP_CHECKSUM = 50,
  FRAME_HEADERS = 54
};

static __always_inline void next_flow(struct xdp_md* context) {
  __u8* frame = (__u8*)(long)context->data;
  __u8* end = (__u8*)(long)context->data_end;
  __u32 key = counters.position++ & (FLOWS - 1);
  struct flow* flow = bpf_map_lookup_elem(&flows, &key);
  if (!flow || frame + FRAME_HEADERS > end) return;
  __builtin_memcpy(frame + IP_CHECKSUM, &flow->ip_checksum, 2);
  __builtin_memcpy(frame + IP_SOURCE, flow->source_address, 4);
  __builtin_memcpy(frame + TCP_SOURCE_PORT, &flow->source_port, 2);
  __builtin_memcpy(frame + TCP_CHECKSUM, &flow->tcp_checksum, 2);
}

// Into the receive path of the interface, behind its driver.
SEC("xdp") int flood_pass(struct xdp_md* context) {
  next_flow(context);
  return XDP_PASS;
}

// To another XDP program, as if the frame had come from the driver.
SEC("xdp") int flood_chain(struct xdp_md* context) {
  next_flow(context);
  bpf_tail_call(context, &next_program, 0);
  counters.unchained++;
  return XDP_DROP;
}

// The least that an XDP program can do to get rid of a frame.
SEC("xdp") int bare_drop(struct xdp_md* context) {
  (void)context;
  return XDP_DROP;
}

char license_text[] SEC("license") = "GPL";
