#include "verdict.h"

#include <algorithm>
#include <bit>

namespace clusterip {
namespace {

constexpr std::size_t kEthernetHeader = 14;  // IEEE 802.3: two addresses and the EtherType
constexpr std::size_t kVlanTag = 4;          // IEEE 802.1Q
constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
constexpr std::uint16_t kEtherTypeVlan = 0x8100;  // 802.1Q
constexpr std::uint16_t kEtherTypeQinq = 0x88a8;  // 802.1ad
constexpr std::uint16_t kVlanIdMask = 0x0fff;
constexpr std::size_t kIpv4Header = 20;  // RFC 791, without options
constexpr std::uint16_t kFragmentOffsetMask = 0x1fff;
constexpr std::size_t kIcmpHeader = 8;  // RFC 792
constexpr std::size_t kPortWords = 4;

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint16_t read_be16(Bytes bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>((bytes[at] << 8) | bytes[at + 1]);
}

constexpr std::uint16_t read_le16(Bytes bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(bytes[at] | (bytes[at + 1] << 8));
}

constexpr std::uint32_t read_be32(Bytes bytes, std::size_t at) noexcept {
  return (std::uint32_t{read_be16(bytes, at)} << 16) | read_be16(bytes, at + 2);
}

constexpr std::size_t ipv4_header_length(Bytes packet) noexcept {
  return std::size_t{packet[0] & 0x0fu} * 4;
}

constexpr bool is_later_fragment(Bytes packet) noexcept {
  return (read_be16(packet, 6) & kFragmentOffsetMask) != 0;
}

// ICMP types by RFC 792 and RFC 950.
constexpr bool is_icmp_request(std::uint8_t type) noexcept {
  return type == 8 || type == 13 || type == 15 || type == 17;
}

constexpr bool is_icmp_error(std::uint8_t type) noexcept {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

void decide(Judgement& judgement, std::uint32_t client_host, PortWords ports) noexcept {
  const VirtualIp& virtual_ip = *judgement.virtual_ip;
  judgement.bucket = bucket_of(client_host, ports, virtual_ip.hash);
  const bool is_local = ((virtual_ip.local_mask >> (judgement.bucket - 1)) & 1u) != 0;
  judgement.reason = is_local ? Reason::kLocalBucket : Reason::kForeignBucket;
}

// An ICMP error: `inner` is the packet from the virtual IP that it is about, possibly cut.
void judge_icmp_error(Judgement& judgement, Bytes inner) noexcept {
  if (inner.size() < kIpv4Header) {
    judgement.reason = Reason::kIcmpInnerTruncated;
    return;
  }
  const std::size_t header_length = ipv4_header_length(inner);
  if ((inner[0] >> 4) != 4 || header_length < kIpv4Header) {
    judgement.reason = Reason::kIcmpInnerMalformed;
    return;
  }
  if (read_be32(inner, 12) != judgement.virtual_ip->address_host) {
    judgement.reason = Reason::kIcmpOtherFlow;
    return;
  }
  if (is_later_fragment(inner)) {
    judgement.reason = Reason::kIcmpInnerFragment;
    return;
  }
  judgement.by_inner_flow = true;
  const std::uint8_t protocol = inner[9];
  const std::uint32_t client_host = read_be32(inner, 16);
  const std::optional<unsigned> offset = ports_offset(protocol);
  if (!offset || judgement.virtual_ip->hash.mode == HashMode::kSourceIp) {
    decide(judgement, client_host, {});
    return;
  }
  if (protocol == IPPROTO_ESP || protocol == IPPROTO_AH) {
    judgement.reason = Reason::kIcmpInnerSpi;
    return;
  }
  const std::size_t ports_at = header_length + *offset;
  if (inner.size() < ports_at + kPortWords) {
    judgement.reason = Reason::kIcmpInnerTruncated;
    return;
  }
  decide(judgement, client_host,
         {.source = read_le16(inner, ports_at + 2), .destination = read_le16(inner, ports_at)});
}

void judge_transport(Judgement& judgement, Bytes packet, std::size_t header_length) noexcept {
  const std::uint8_t protocol = packet[9];
  const std::uint32_t saddr_host = read_be32(packet, 12);
  const Bytes payload = packet.subspan(header_length);
  if (protocol == IPPROTO_ICMP) {
    if (payload.size() < kIcmpHeader) {
      judgement.reason = Reason::kIcmpTruncated;
    } else if (is_icmp_request(payload[0])) {
      decide(judgement, saddr_host, {});
    } else if (is_icmp_error(payload[0])) {
      judge_icmp_error(judgement, payload.subspan(kIcmpHeader));
    } else {
      judgement.reason = Reason::kIcmpUnsolicited;
    }
    return;
  }
  const std::optional<unsigned> offset = ports_offset(protocol);
  if (!offset) {
    decide(judgement, saddr_host, {});
    return;
  }
  if (payload.size() < *offset + kPortWords) {
    judgement.reason = Reason::kPortsTruncated;
    return;
  }
  decide(judgement, saddr_host,
         {.source = read_le16(payload, *offset), .destination = read_le16(payload, *offset + 2)});
}

}  // namespace

void VirtualIpTable::assign(std::span<const VirtualIp> virtual_ips) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(virtual_ips.size() * 2, 2));
  slots_.assign(size, Slot{});
  mask_ = size - 1;
  shift_ = 32 - static_cast<unsigned>(std::countr_zero(size));
  for (const VirtualIp& virtual_ip : virtual_ips) {
    std::size_t slot = slot_of(virtual_ip.address_host);
    while (slots_[slot].used) slot = (slot + 1) & mask_;
    slots_[slot] = {.used = true, .virtual_ip = virtual_ip};
  }
}

Judgement judge(Bytes frame, PacketType type, const VirtualIpTable& virtual_ips) noexcept {
  Judgement judgement;
  if (frame.size() < kEthernetHeader) {
    judgement.reason = Reason::kEthernetTruncated;
    return judgement;
  }
  // The kernel takes the outer tag off before a tap sees the frame; what is left in the frame
  // here are inner tags. VLAN 0 only carries a priority and belongs to the interface itself.
  std::size_t ip_offset = kEthernetHeader;
  std::uint16_t ether_type = read_be16(frame, kEthernetHeader - 2);
  while (ether_type == kEtherTypeVlan || ether_type == kEtherTypeQinq) {
    if (frame.size() < ip_offset + kVlanTag) {
      judgement.reason = Reason::kEthernetTruncated;
      return judgement;
    }
    if ((read_be16(frame, ip_offset) & kVlanIdMask) != 0) {
      judgement.reason = Reason::kVlanTagged;
      return judgement;
    }
    ether_type = read_be16(frame, ip_offset + 2);
    ip_offset += kVlanTag;
  }
  if (ether_type != kEtherTypeIpv4) {
    judgement.reason = Reason::kNotIpv4;
    return judgement;
  }
  if (type == PacketType::kOtherHost) {
    judgement.reason = Reason::kOtherHost;
    return judgement;
  }
  const Bytes padded = frame.subspan(ip_offset);
  if (padded.size() < kIpv4Header) {
    judgement.reason = Reason::kIpv4Truncated;
    return judgement;
  }
  if ((padded[0] >> 4) != 4) {
    judgement.reason = Reason::kIpv4Version;
    return judgement;
  }
  judgement.virtual_ip = virtual_ips.find(read_be32(padded, 16));
  if (judgement.virtual_ip == nullptr) {
    judgement.reason = Reason::kOtherAddress;
    return judgement;
  }
  const std::size_t total_length = read_be16(padded, 2);
  const std::size_t header_length = ipv4_header_length(padded);
  if (total_length > padded.size()) {
    judgement.reason = Reason::kIpv4TotalLength;
    return judgement;
  }
  if (header_length < kIpv4Header || header_length > total_length) {
    judgement.reason = Reason::kIpv4HeaderLength;
    return judgement;
  }
  const Bytes packet = padded.first(total_length);  // without the Ethernet padding
  judgement.ip_offset = static_cast<std::uint32_t>(ip_offset);
  judgement.ip_length = static_cast<std::uint32_t>(total_length);
  if (is_later_fragment(packet)) {
    judgement.reason = Reason::kLaterFragment;
  } else {
    judge_transport(judgement, packet, header_length);
  }
  return judgement;
}

}  // namespace clusterip
