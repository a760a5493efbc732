// The maps of one interface; the tc and the XDP program of the interface share them.
#pragma once

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#include "shared.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, CLUSTERIP_MAX_VIRTUAL_IPS);
  __type(key, __be32);
  __type(value, struct clusterip_virtual_ip);
} virtual_ips SEC(".maps");

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
