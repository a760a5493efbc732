// The verdict on one Ethernet frame: a pure function of the frame and the virtual IPs.
//
// It keeps no state between frames. Later fragments carry no ports, so every node takes them
// and only the node with the first fragment completes the datagram. ICMP errors are judged by
// the packet inside them with its direction turned round, so the owner of that flow gets them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bucket.h"

namespace clusterip {

enum class Verdict : std::uint8_t { kAccept, kForeign, kNotOurs, kMalformed, kDrop };

// In the order of reasonCatalogue in src/core/verdict.ts, whose sentences explain them.
enum class Reason : std::uint8_t {
  kLocalBucket,
  kLaterFragment,
  kIcmpInnerSpi,
  kForeignBucket,
  kNotIpv4,
  kVlanTagged,
  kOtherHost,
  kOtherAddress,
  kEthernetTruncated,
  kIpv4Truncated,
  kIpv4Version,
  kIpv4HeaderLength,
  kIpv4TotalLength,
  kPortsTruncated,
  kIcmpTruncated,
  kIcmpInnerTruncated,
  kIcmpInnerMalformed,
  kIcmpInnerFragment,
  kIcmpOtherFlow,
  kIcmpUnsolicited,
  kCount,
};

inline constexpr std::size_t kReasonCount = static_cast<std::size_t>(Reason::kCount);

// The names that src/core/verdict.ts uses, by reason.
inline constexpr std::array<const char*, kReasonCount> kReasonNames = {
    "local-bucket",
    "later-fragment",
    "icmp-inner-spi",
    "foreign-bucket",
    "not-ipv4",
    "vlan-tagged",
    "other-host",
    "other-address",
    "ethernet-truncated",
    "ipv4-truncated",
    "ipv4-version",
    "ipv4-header-length",
    "ipv4-total-length",
    "ports-truncated",
    "icmp-truncated",
    "icmp-inner-truncated",
    "icmp-inner-malformed",
    "icmp-inner-fragment",
    "icmp-other-flow",
    "icmp-unsolicited",
};

constexpr Verdict verdict_of(Reason reason) noexcept {
  if (reason <= Reason::kIcmpInnerSpi) return Verdict::kAccept;
  if (reason == Reason::kForeignBucket) return Verdict::kForeign;
  if (reason <= Reason::kOtherAddress) return Verdict::kNotOurs;
  if (reason <= Reason::kIcmpInnerMalformed) return Verdict::kMalformed;
  return Verdict::kDrop;
}

// How the frame was addressed on the link: the values of linux/if_packet.h.
enum class PacketType : std::uint8_t { kHost = 0, kBroadcast = 1, kMulticast = 2, kOtherHost = 3 };

struct VirtualIp {
  std::uint32_t address_host = 0;
  HashSettings hash;
  std::uint16_t local_mask = 0;  // bit bucket - 1
  std::uint32_t id = 0;          // of the caller
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

struct Judgement {
  Reason reason = Reason::kNotIpv4;
  std::uint8_t bucket = 0;                // 1 to total_nodes, 0 when no bucket was computed
  const VirtualIp* virtual_ip = nullptr;  // set once the destination address was found
  std::uint32_t ip_offset = 0;            // of the IPv4 header, set for accept
  std::uint32_t ip_length = 0;            // the IPv4 total length, set for accept
  bool by_inner_flow = false;             // the bucket is that of the packet in an ICMP error
};

// Judges one Ethernet frame. Reads nothing outside `frame` and never fails.
[[nodiscard]] Judgement judge(std::span<const std::uint8_t> frame, PacketType type,
                              const VirtualIpTable& virtual_ips) noexcept;

}  // namespace clusterip
