// The TUN device through which the host's stack takes the frames of its own buckets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "sys.h"
#include "verdict.h"

namespace clusterip {

class Tun {
 public:
  // Creates the device; it exists as long as this object. Addresses and state are the caller's.
  static Result<Tun> open(const std::string& name) noexcept;

  // Hands the judged IPv4 packet to the stack as local input. `frame` starts at the Ethernet
  // header and has the capture's virtio_net_hdr before it, which is rewritten in place.
  // Returns false with errno set when the kernel did not take it.
  [[nodiscard]] bool deliver(std::span<std::uint8_t> frame,
                             const Judgement& judgement) const noexcept;

 private:
  explicit Tun(Fd fd) noexcept : fd_(std::move(fd)) {}

  Fd fd_;
};

}  // namespace clusterip
