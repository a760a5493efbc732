// The verdict of native/verdict on frames in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "verdict/judgement.h"

namespace clusterip {

using Judgement = clusterip_judgement;  // engine_word: the id of the virtual IP

struct VirtualIp {
  std::uint32_t address_host = 0;
  clusterip_rule rule{};
  std::uint32_t id = 0;  // of the caller
};

// The virtual IPs of one interface, found by destination address. Open addressing at a load
// of at most one half: a lookup touches one or two slots however many virtual IPs there are.
class VirtualIpTable {
 public:
  VirtualIpTable() { assign({}); }

  void assign(std::span<const VirtualIp> virtual_ips);
  [[nodiscard]] const VirtualIp* find(std::uint32_t address_host) const noexcept {
    for (std::size_t slot = slot_of(address_host);; slot = (slot + 1) & mask_) {
      const Slot& candidate = slots_[slot];
      if (!candidate.used) return nullptr;
      if (candidate.virtual_ip.address_host == address_host) return &candidate.virtual_ip;
    }
  }

 private:
  struct Slot {
    bool used = false;
    VirtualIp virtual_ip;
  };

  [[nodiscard]] std::size_t slot_of(std::uint32_t address_host) const noexcept {
    // Knuth's multiplicative hash: the high bits of the product depend on all of the address.
    return (address_host * 2654435761u) >> shift_;
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  unsigned shift_ = 0;  // 32 - log2(slots)
};

// Judges one Ethernet frame; `packet_type` is a clusterip_packet_type. Reads nothing outside
// `frame` and never fails.
[[nodiscard]] Judgement judge(std::span<const std::uint8_t> frame, std::uint32_t packet_type,
                              const VirtualIpTable& virtual_ips) noexcept;

}  // namespace clusterip
