// What is in "vip_table" and how it is read: the places of the virtual IPs, and what each has
// counted since it came. Plain memory, be it the kernel's (maps.h) or a test's.
//
// One process writes, and frames are judged at the same time: bpf/layout.h says by which order of
// writes a search misses nothing.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bpf/layout.h"

namespace clusterip {

struct BpfVirtualIp {
  in_addr_t address_wire = 0;
  clusterip_virtual_ip settings{};
};

[[nodiscard]] std::vector<BpfVirtualIp> list_places(clusterip_vip_table& table);
[[nodiscard]] std::optional<clusterip_virtual_ip> find_place(clusterip_vip_table& table,
                                                             in_addr_t address_wire) noexcept;
// In force for the next frame, and all that decides about it with one write. A new one's slot is
// from free_slot. Returns false when there is no place left.
[[nodiscard]] bool write_place(clusterip_vip_table& table, const BpfVirtualIp& entry) noexcept;
void erase_place(clusterip_vip_table& table, in_addr_t address_wire) noexcept;

// A slot that no virtual IP uses.
[[nodiscard]] std::optional<std::uint8_t> free_slot(clusterip_vip_table& table);
// What the slot has counted until now is not the next virtual IP's.
void begin_slot(clusterip_vip_table& table, std::uint8_t slot,
                const clusterip_vip_counters& counted) noexcept;
// What the virtual IP has counted that has the slot now.
[[nodiscard]] clusterip_vip_counters since_begin(const clusterip_vip_table& table,
                                                 std::uint8_t slot,
                                                 const clusterip_vip_counters& counted) noexcept;

// Sums over the values of all CPUs.
[[nodiscard]] clusterip_vip_counters sum_of(
    std::span<const clusterip_vip_counters> of_cpus) noexcept;
[[nodiscard]] clusterip_nic_counters sum_of(
    std::span<const clusterip_nic_counters> of_cpus) noexcept;
// Frames with a bucket are counted by virtual IP alone: adds those of one slot.
void add_to(clusterip_nic_counters& sum, const clusterip_vip_counters& counted) noexcept;

}  // namespace clusterip
