// struct virtio_net_hdr (virtio 1.2, 5.1.6): what AF_PACKET and TUN put before a frame to say
// how far its checksum is and how it was merged. linux/virtio_net.h itself is not valid C++.
#pragma once

#include <cstdint>

namespace clusterip {

struct VnetHeader {
  std::uint8_t flags;
  std::uint8_t gso_type;
  std::uint16_t hdr_len;   // of the headers before the payload, host byte order like the rest
  std::uint16_t gso_size;  // payload octets per segment
  std::uint16_t csum_start;
  std::uint16_t csum_offset;
};
static_assert(sizeof(VnetHeader) == 10);

inline constexpr std::uint8_t kVnetNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
inline constexpr std::uint8_t kVnetGsoNone = 0;        // VIRTIO_NET_HDR_GSO_NONE

}  // namespace clusterip
