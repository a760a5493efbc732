#include "userspace/tun.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cstring>

#include "userspace/vnet_header.h"

namespace clusterip {
namespace {

Result<Fd> open_queue(const std::string& name, short flags) noexcept {
  Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return last_error("open(/dev/net/tun)");
  ifreq request{};
  request.ifr_flags = flags;
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return last_error("TUNSETIFF");
  // Frames from GRO and unfinished checksums are passed on as the tap saw them.
  if (::ioctl(fd.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN) != 0) {
    return last_error("TUNSETOFFLOAD");
  }
  return fd;
}

}  // namespace

std::span<const std::uint8_t> to_tun_message(std::span<std::uint8_t> frame,
                                             const Judgement& judgement) noexcept {
  VnetHeader header{};
  std::memcpy(&header, frame.data() - sizeof header, sizeof header);
  // The offsets count from the Ethernet header, which a TUN does not have.
  const auto shift = static_cast<std::uint16_t>(judgement.ip_offset);
  if ((header.flags & kVnetNeedsChecksum) != 0) {
    header.csum_start = static_cast<std::uint16_t>(header.csum_start - shift);
  }
  if (header.gso_type != kVnetGsoNone) {
    header.hdr_len = static_cast<std::uint16_t>(header.hdr_len - shift);
  }
  // The Ethernet header (14 octets at least) is not needed any more: its end takes the
  // virtio_net_hdr (10 octets), so that header and packet are one piece for one write.
  const std::span<std::uint8_t> message =
      frame.subspan(judgement.ip_offset - sizeof header, sizeof header + judgement.ip_length);
  std::memcpy(message.data(), &header, sizeof header);
  return message;
}

Result<std::vector<Tun>> Tun::open(const std::string& name, std::size_t queues) {
  const int kind = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
  std::vector<Tun> tuns;
  for (std::size_t i = 0; i < queues; ++i) {
    // The first makes the device and must not find one; the others join it.
    auto fd = open_queue(name, static_cast<short>(i == 0 ? kind | IFF_TUN_EXCL : kind));
    if (const auto* error = std::get_if<SysError>(&fd)) return *error;
    tuns.emplace_back(std::get<Fd>(std::move(fd)));
  }
  return tuns;
}

bool Tun::deliver(std::span<std::uint8_t> frame, const Judgement& judgement) const noexcept {
  const std::span<const std::uint8_t> message = to_tun_message(frame, judgement);
  return ::write(fd_.get(), message.data(), message.size()) == static_cast<ssize_t>(message.size());
}

}  // namespace clusterip
