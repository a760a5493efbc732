// How the fuzzers read their input: from the front, and what is not there is 0. Seeds are written
// by the same rules (seeds.cc).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "userspace/judge.h"

namespace clusterip::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : rest_(data, size) {}

  std::uint8_t u8() noexcept {
    if (rest_.empty()) return 0;
    const std::uint8_t octet = rest_.front();
    rest_ = rest_.subspan(1);
    return octet;
  }

  std::uint16_t u16() noexcept {
    const std::uint8_t high = u8();
    return static_cast<std::uint16_t>((high << 8) | u8());
  }

  std::uint32_t u32() noexcept {
    const std::uint32_t high = u16();
    return (high << 16) | u16();
  }

  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
  [[nodiscard]] std::span<const std::uint8_t> rest() const noexcept { return rest_; }

 private:
  std::span<const std::uint8_t> rest_;
};

// The settings in front of a frame:
//   1 octet   bits 0-1 packet type, bit 2 "the first virtual IP is where the frame goes",
//             bits 4-6 number of virtual IPs
//   12 octets for each virtual IP: address, hash mode, number of buckets, hash_init, local mask
struct Scene {
  std::uint32_t type = PACKET_TYPE_HOST;
  std::vector<VirtualIp> virtual_ips;
  std::span<const std::uint8_t> frame;
};

inline constexpr unsigned kFrameToFirst = 4;
inline constexpr std::size_t kDestinationAt = 14 + 16;  // of an untagged frame

inline Scene read_scene(Input& input) {
  Scene scene;
  const std::uint8_t head = input.u8();
  scene.type = head & 3;
  scene.virtual_ips.resize((head >> 4) & 7);
  for (std::size_t i = 0; i < scene.virtual_ips.size(); ++i) {
    VirtualIp& virtual_ip = scene.virtual_ips[i];
    virtual_ip.address_host = input.u32();
    virtual_ip.rule.hash_mode = input.u8() % 3;
    virtual_ip.rule.bucket_count =
        static_cast<std::uint8_t>(input.u8() % CLUSTERIP_MAX_BUCKETS + 1);
    virtual_ip.rule.hash_init = input.u32();
    virtual_ip.rule.local_mask = input.u16();
    virtual_ip.id = static_cast<std::uint32_t>(i);
  }
  scene.frame = input.rest();
  const bool has_destination = scene.frame.size() >= kDestinationAt + 4;
  if ((head & kFrameToFirst) != 0 && has_destination && !scene.virtual_ips.empty()) {
    Input destination(scene.frame.data() + kDestinationAt, 4);
    scene.virtual_ips.front().address_host = destination.u32();
  }
  return scene;
}

}  // namespace clusterip::fuzz
