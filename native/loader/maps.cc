#include "loader/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <type_traits>

namespace clusterip {
namespace {

// A per-CPU map is read and written as an array, one value for each possible CPU.
template <typename Value>
Result<Value> sum_all_cpus(const Fd& map, std::uint32_t key) {
  static_assert(sizeof(Value) % 8 == 0, "values are padded to 8 octets");
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return SysError{.call = "possible CPUs", .error = -cpus};
  std::vector<Value> values(static_cast<std::size_t>(cpus));
  if (bpf_map_lookup_elem(map.get(), &key, values.data()) != 0) {
    return last_error("BPF_MAP_LOOKUP_ELEM");
  }
  return sum_of(std::span<const Value>(values));
}

}  // namespace

Result<VipTable> VipTable::map(const Fd& fd) {
  void* memory =
      ::mmap(nullptr, sizeof(clusterip_vip_table), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return last_error("mmap of the virtual IPs");
  VipTable table;
  table.table_.reset(static_cast<clusterip_vip_table*>(memory));
  return table;
}

void VipTable::Unmap::operator()(clusterip_vip_table* table) const noexcept {
  ::munmap(table, sizeof *table);
}

Result<std::vector<BpfVirtualIp>> BpfMaps::list() const {
  if (!table) return SysError{.call = "list virtual IPs", .error = EBADF};
  return list_places(*table);
}

Result<clusterip_virtual_ip> BpfMaps::find(in_addr_t address_wire) const {
  if (!table) return SysError{.call = "find virtual IP", .error = EBADF};
  const auto found = find_place(*table, address_wire);
  if (!found) return SysError{.call = "find virtual IP", .error = ENOENT};
  return *found;
}

std::optional<SysError> BpfMaps::write(const BpfVirtualIp& entry) const {
  if (!table) return SysError{.call = "write virtual IP", .error = EBADF};
  if (!write_place(*table, entry)) return SysError{.call = "write virtual IP", .error = ENOSPC};
  return std::nullopt;
}

std::optional<SysError> BpfMaps::erase(in_addr_t address_wire) const {
  if (!table) return SysError{.call = "erase virtual IP", .error = EBADF};
  erase_place(*table, address_wire);
  return std::nullopt;
}

Result<std::uint8_t> BpfMaps::begin_free_slot() const {
  if (!table) return SysError{.call = "free slot", .error = EBADF};
  const auto slot = free_slot(*table);
  if (!slot) return SysError{.call = "free slot", .error = ENOSPC};
  const auto counted = sum_all_cpus<clusterip_vip_counters>(vip_counters, *slot);
  if (const auto* error = std::get_if<SysError>(&counted)) return *error;
  begin_slot(*table, *slot, std::get<clusterip_vip_counters>(counted));
  return *slot;
}

Result<clusterip_nic_counters> BpfMaps::count_nic() const {
  if (!table) return SysError{.call = "count", .error = EBADF};
  auto sum = sum_all_cpus<clusterip_nic_counters>(nic_counters, 0);
  if (std::holds_alternative<SysError>(sum)) return sum;
  for (std::uint32_t slot = 0; slot < table->used_slots; ++slot) {
    const auto counted = sum_all_cpus<clusterip_vip_counters>(vip_counters, slot);
    if (const auto* error = std::get_if<SysError>(&counted)) return *error;
    add_to(std::get<clusterip_nic_counters>(sum), std::get<clusterip_vip_counters>(counted));
  }
  return sum;
}

Result<clusterip_vip_counters> BpfMaps::count_virtual_ip(in_addr_t address_wire) const {
  const auto settings = find(address_wire);
  if (const auto* error = std::get_if<SysError>(&settings)) return *error;
  const std::uint8_t slot = std::get<clusterip_virtual_ip>(settings).slot;
  const auto counted = sum_all_cpus<clusterip_vip_counters>(vip_counters, slot);
  if (const auto* error = std::get_if<SysError>(&counted)) return *error;
  return since_begin(*table, slot, std::get<clusterip_vip_counters>(counted));
}

}  // namespace clusterip
