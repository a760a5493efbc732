// The capture socket of one interface: AF_PACKET with the vnet header, incoming frames only.
#pragma once

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generated/facts.h"
#include "linux/sys.h"
#include "userspace/vnet_header.h"

namespace clusterip {

using MacAddress = std::array<std::uint8_t, 6>;

// One received frame inside a FrameBatch, valid until the next receive.
struct CapturedFrame {
  std::span<std::uint8_t> frame;  // from the Ethernet header; a virtio_net_hdr lies before it
  std::uint8_t packet_type = PACKET_TYPE_HOST;  // sll_pkttype
  bool is_outgoing = false;  // this host's own; not there unless the kernel is old
  bool truncated = false;
  // The tag that the kernel took off the frame (802.1Q TCI), where it had one.
  bool has_vlan_tag = false;
  std::uint16_t vlan_tci = 0;
};

// Buffers for one recvmmsg call, allocated once. A buffer holds the largest frame that GRO
// makes (64 KiB of IPv4 packet), and its pages are only touched by frames that need them.
class FrameBatch {
 public:
  static constexpr std::size_t kFrames = 64;

  FrameBatch();

  // Fills the batch from the socket without waiting.
  // Returns the number of frames; 0 with errno set when there was none or the call failed.
  [[nodiscard]] std::size_t receive(int socket_fd) noexcept;
  [[nodiscard]] CapturedFrame at(std::size_t index) noexcept;

 private:
  static constexpr std::size_t kVnetHeader = sizeof(VnetHeader);
  static constexpr std::size_t kMaxFrame = 65535 + 14 + 2 * 4;  // IPv4, Ethernet, two tags
  // Merged frames come in small batches: what is copied out of the kernel should still be in the
  // CPU's cache when it is copied back.
  static constexpr std::size_t kMergedFrame = 8192;
  static constexpr unsigned kMergedFrames = 4;
  static constexpr std::size_t kBuffer = (kVnetHeader + kMaxFrame + 4095) / 4096 * 4096;

  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> bytes;
  };

  struct Unmap {
    void operator()(std::uint8_t* memory) const noexcept;
  };

  unsigned limit_ = kFrames;
  std::unique_ptr<std::uint8_t, Unmap> memory_;
  std::vector<mmsghdr> messages_;
  std::vector<iovec> vectors_;
  std::vector<sockaddr_ll> senders_;
  std::vector<Control> controls_;
};

bool is_link_up(int ifindex) noexcept;

class Capture {
 public:
  // As many sockets, which share the frames of the interface by the CPU that received them. None
  // of them passes anything before its first set_filter(). It is a single one where the link is
  // down and the kernel lets none share then.
  static Result<std::vector<Capture>> open(int ifindex, std::size_t sockets);

  // Replaces the filter of the socket, with none for an empty one: from one frame to the next.
  // Returns false with errno set when the kernel refuses it; then the old one stays.
  [[nodiscard]] bool set_filter(std::span<const sock_filter> filter) const noexcept;
  void clear_filter() const noexcept;

  // Subscribes the interface to a link-layer multicast address; ends with the socket.
  [[nodiscard]] bool join(const MacAddress& mac) const noexcept;
  [[nodiscard]] bool leave(const MacAddress& mac) const noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  // An interface that leaves the network namespace ends it for good, although the same one may
  // come back with the same index.
  [[nodiscard]] bool is_bound() const noexcept;
  // Frames that the kernel dropped because the socket's buffer was full, since the last call.
  [[nodiscard]] std::uint64_t take_drops() const noexcept;
  // An upper bound of the number of frames that wait in the socket now.
  [[nodiscard]] std::size_t pending_bound() const noexcept;

 private:
  Capture(Fd fd, int ifindex) noexcept : fd_(std::move(fd)), ifindex_(ifindex) {}
  static Result<Capture> open_one(int ifindex, bool is_shared) noexcept;
  static std::optional<SysError> share(std::span<const Capture> captures) noexcept;
  [[nodiscard]] bool membership(int option, const MacAddress& mac) const noexcept;

  Fd fd_;
  int ifindex_;
};

}  // namespace clusterip
