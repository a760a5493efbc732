// The maps of one interface: the virtual IPs that its programs judge for, and what they count.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "linux/multicast.h"
#include "linux/sys.h"
#include "loader/placement.h"

namespace clusterip {

inline MacAddress mac_of(const clusterip_virtual_ip& settings) noexcept {
  MacAddress mac;
  std::copy(std::begin(settings.cluster_mac), std::end(settings.cluster_mac), mac.begin());
  return mac;
}

// The entry of "vip_table", in our memory: what is written there is in force for the next frame.
class VipTable {
 public:
  static Result<VipTable> map(const Fd& fd);
  VipTable() = default;

  [[nodiscard]] clusterip_vip_table* operator->() const noexcept { return table_.get(); }
  [[nodiscard]] clusterip_vip_table& operator*() const noexcept { return *table_; }
  [[nodiscard]] explicit operator bool() const noexcept { return table_ != nullptr; }

 private:
  struct Unmap {
    void operator()(clusterip_vip_table* table) const noexcept;
  };
  std::unique_ptr<clusterip_vip_table, Unmap> table_;
};

struct BpfMaps {
  Fd vip_table;
  Fd vip_counters;
  Fd nic_counters;
  VipTable table;

  explicit operator bool() const noexcept {
    return vip_table && vip_counters && nic_counters && table;
  }

  [[nodiscard]] Result<std::vector<BpfVirtualIp>> list() const;
  // ENOENT when the address is not there.
  [[nodiscard]] Result<clusterip_virtual_ip> find(in_addr_t address_wire) const;
  // In force for the next frame, and all that decides about it with one write. A new entry's slot
  // is one from begin_free_slot.
  [[nodiscard]] std::optional<SysError> write(const BpfVirtualIp& entry) const;
  [[nodiscard]] std::optional<SysError> erase(in_addr_t address_wire) const;
  // A slot that no virtual IP uses, to be counted from 0 on; ENOSPC when all are taken.
  [[nodiscard]] Result<std::uint8_t> begin_free_slot() const;

  // Sums over all CPUs. Those of the interface hold what virtual IPs have counted that are gone.
  [[nodiscard]] Result<clusterip_nic_counters> count_nic() const;
  [[nodiscard]] Result<clusterip_vip_counters> count_virtual_ip(in_addr_t address_wire) const;
};

}  // namespace clusterip
