#include "bpf_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <bitset>

namespace clusterip {
namespace {

// A per-CPU map is read and written as an array, one value for each possible CPU.
template <typename Value>
Result<std::vector<Value>> read_all_cpus(const Fd& map, std::uint32_t key) {
  static_assert(sizeof(Value) % 8 == 0, "values are padded to 8 octets");
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return SysError{.call = "possible CPUs", .error = -cpus};
  std::vector<Value> values(static_cast<std::size_t>(cpus));
  if (bpf_map_lookup_elem(map.get(), &key, values.data()) != 0) {
    return last_error("BPF_MAP_LOOKUP_ELEM");
  }
  return values;
}

void add(clusterip_tally& sum, const clusterip_tally& tally) noexcept {
  sum.frames += tally.frames;
  sum.bytes += tally.bytes;
}

}  // namespace

Result<std::vector<BpfVirtualIp>> BpfMaps::list() const {
  std::vector<BpfVirtualIp> entries;
  in_addr_t key = 0;
  const void* previous = nullptr;
  while (bpf_map_get_next_key(virtual_ips.get(), previous, &key) == 0) {
    BpfVirtualIp entry{.address_wire = key, .settings = {}};
    // Nobody else removes entries.
    if (bpf_map_lookup_elem(virtual_ips.get(), &key, &entry.settings) != 0) {
      return last_error("BPF_MAP_LOOKUP_ELEM");
    }
    entries.push_back(entry);
    previous = &key;
  }
  if (errno != ENOENT) return last_error("BPF_MAP_GET_NEXT_KEY");
  return entries;
}

Result<clusterip_virtual_ip> BpfMaps::find(in_addr_t address_wire) const {
  clusterip_virtual_ip settings{};
  if (bpf_map_lookup_elem(virtual_ips.get(), &address_wire, &settings) != 0) {
    return last_error("BPF_MAP_LOOKUP_ELEM");
  }
  return settings;
}

std::optional<SysError> BpfMaps::write(const BpfVirtualIp& entry) const {
  if (bpf_map_update_elem(virtual_ips.get(), &entry.address_wire, &entry.settings, BPF_ANY) == 0) {
    return std::nullopt;
  }
  return last_error("BPF_MAP_UPDATE_ELEM");
}

std::optional<SysError> BpfMaps::erase(in_addr_t address_wire) const {
  if (bpf_map_delete_elem(virtual_ips.get(), &address_wire) == 0 || errno == ENOENT) {
    return std::nullopt;
  }
  return last_error("BPF_MAP_DELETE_ELEM");
}

Result<std::uint32_t> BpfMaps::free_slot() const {
  const auto entries = list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  std::bitset<CLUSTERIP_MAX_VIRTUAL_IPS> used;
  for (const auto& [_, settings] : std::get<std::vector<BpfVirtualIp>>(entries)) {
    if (settings.slot < used.size()) used.set(settings.slot);
  }
  std::uint32_t slot = 0;
  while (slot < used.size() && used.test(slot)) ++slot;
  if (slot == used.size()) return SysError{.call = "free slot", .error = ENOSPC};
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return SysError{.call = "possible CPUs", .error = -cpus};
  const std::vector<clusterip_vip_counters> zeros(static_cast<std::size_t>(cpus));
  if (bpf_map_update_elem(vip_counters.get(), &slot, zeros.data(), BPF_ANY) != 0) {
    return last_error("BPF_MAP_UPDATE_ELEM");
  }
  return slot;
}

Result<clusterip_nic_counters> BpfMaps::count_nic() const {
  const auto values = read_all_cpus<clusterip_nic_counters>(nic_counters, 0);
  if (const auto* error = std::get_if<SysError>(&values)) return *error;
  clusterip_nic_counters sum{};
  for (const auto& value : std::get<std::vector<clusterip_nic_counters>>(values)) {
    for (std::size_t reason = 0; reason < REASON_COUNT; ++reason) {
      add(sum.by_reason[reason], value.by_reason[reason]);
    }
  }
  return sum;
}

Result<clusterip_vip_counters> BpfMaps::count_virtual_ip(in_addr_t address_wire) const {
  const auto settings = find(address_wire);
  if (const auto* error = std::get_if<SysError>(&settings)) return *error;
  const auto values = read_all_cpus<clusterip_vip_counters>(
      vip_counters, std::get<clusterip_virtual_ip>(settings).slot);
  if (const auto* error = std::get_if<SysError>(&values)) return *error;
  clusterip_vip_counters sum{};
  for (const auto& value : std::get<std::vector<clusterip_vip_counters>>(values)) {
    for (std::size_t bucket = 0; bucket < CLUSTERIP_MAX_NODES; ++bucket) {
      add(sum.local[bucket], value.local[bucket]);
      add(sum.foreign[bucket], value.foreign[bucket]);
    }
    add(sum.without_bucket, value.without_bucket);
  }
  return sum;
}

}  // namespace clusterip
