// The maps of one interface: the virtual IPs that its programs judge for, and what they count.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "../bpf/shared.h"
#include "multicast.h"
#include "sys.h"

namespace clusterip {

struct BpfVirtualIp {
  in_addr_t address_wire = 0;
  clusterip_virtual_ip settings{};
};

inline MacAddress mac_of(const clusterip_virtual_ip& settings) noexcept {
  MacAddress mac;
  std::copy(std::begin(settings.cluster_mac), std::end(settings.cluster_mac), mac.begin());
  return mac;
}

struct BpfMaps {
  Fd virtual_ips;
  Fd vip_counters;
  Fd nic_counters;

  explicit operator bool() const noexcept { return virtual_ips && vip_counters && nic_counters; }

  [[nodiscard]] Result<std::vector<BpfVirtualIp>> list() const;
  // ENOENT when the address is not there.
  [[nodiscard]] Result<clusterip_virtual_ip> find(in_addr_t address_wire) const;
  // One write, in force for the next frame.
  [[nodiscard]] std::optional<SysError> write(const BpfVirtualIp& entry) const;
  [[nodiscard]] std::optional<SysError> erase(in_addr_t address_wire) const;
  // A slot that no virtual IP uses, its counters at 0; ENOSPC when all are taken.
  [[nodiscard]] Result<std::uint32_t> free_slot() const;

  // Sums over all CPUs.
  [[nodiscard]] Result<clusterip_nic_counters> count_nic() const;
  [[nodiscard]] Result<clusterip_vip_counters> count_virtual_ip(in_addr_t address_wire) const;
};

}  // namespace clusterip
