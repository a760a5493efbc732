// The TUN device through which the host's stack takes the frames of its own buckets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "linux/sys.h"
#include "userspace/judge.h"

namespace clusterip {

// Makes the message for a TUN of an accepted frame: virtio_net_hdr and IPv4 packet in one piece.
// `frame` starts at the Ethernet header and has the capture's virtio_net_hdr before it; both are
// rewritten in place. Returns what is to be written, a part of them.
[[nodiscard]] std::span<const std::uint8_t> to_tun_message(std::span<std::uint8_t> frame,
                                                           const Judgement& judgement) noexcept;

class Tun {
 public:
  // A queue that is open already.
  explicit Tun(Fd fd) noexcept : fd_(std::move(fd)) {}

  // Creates the device with as many queues, each an object of its own; it exists as long as one of
  // them. Addresses and state are the caller's.
  static Result<std::vector<Tun>> open(const std::string& name, std::size_t queues);

  // Hands the packet of an accepted frame to the stack as local input; see to_tun_message().
  // Returns false with errno set when the kernel did not take it.
  [[nodiscard]] bool deliver(std::span<std::uint8_t> frame,
                             const Judgement& judgement) const noexcept;

 private:
  Fd fd_;
};

}  // namespace clusterip
