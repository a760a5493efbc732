// The maps of one interface; the tc and the XDP program of the interface share them.
#pragma once

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#include "shared.h"

// One entry that holds a table of its own: the verifier writes the look-up of an array into the
// program, where that of a hash map would be a call.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct clusterip_vip_table);
} vip_table SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, CLUSTERIP_MAX_VIRTUAL_IPS);
  __type(key, __u32);
  __type(value, struct clusterip_vip_counters);
} vip_counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct clusterip_nic_counters);
} nic_counters SEC(".maps");

static __always_inline __u64 read_once(const __u64* word) { return *(const volatile __u64*)word; }

// The place of a virtual IP, NULL when the address is none.
static __always_inline const struct clusterip_place* find_place(__be32 address) {
  const __u32 index = 0;
  const struct clusterip_vip_table* table = bpf_map_lookup_elem(&vip_table, &index);
  if (!table) return 0;
  const __u64 wanted = clusterip_key(address, PLACE_TAKEN);
  const __u32 home = clusterip_home(address);
#pragma clang loop unroll(disable)
  for (__u32 probe = 0; probe < CLUSTERIP_MAX_PROBES; ++probe) {
    const struct clusterip_place* place = &table->places[(home + probe) & (CLUSTERIP_PLACES - 1)];
    const __u64 key = read_once(&place->key);
    if (key == wanted) return place;
    if (key == 0) return 0;
  }
  return 0;
}
