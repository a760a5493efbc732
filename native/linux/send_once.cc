#include "linux/send_once.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>

namespace clusterip {

std::optional<SysError> send_frame(int ifindex, std::span<const std::uint8_t> frame) noexcept {
  if (frame.size() < ETH_HLEN) return SysError{.call = "send_frame", .error = EINVAL};
  // Protocol 0: this socket only sends, it must not queue what arrives. It is kept, because closing
  // a packet socket waits for all CPUs (synchronize_net), and that took 10 ms of a busy host.
  static Fd fd;
  if (!fd) fd = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return last_error("socket(AF_PACKET)");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = ifindex;
  // The type that the frame carries: taps and the peer of a veth read it from here.
  address.sll_protocol = htons(static_cast<std::uint16_t>((frame[12] << 8) | frame[13]));
  address.sll_halen = ETH_ALEN;
  std::copy_n(frame.begin(), ETH_ALEN, address.sll_addr);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  if (::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&address),
               sizeof address) < 0) {
    return last_error("sendto(AF_PACKET)");
  }
  return std::nullopt;
}

std::optional<SysError> send_datagram(const std::string& path, const std::string& text) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return SysError{.call = "send_datagram", .error = EINVAL};
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  if (path.front() == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return last_error("socket(AF_UNIX)");
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, to, length) < 0) {
    return last_error("sendto(AF_UNIX)");
  }
  return std::nullopt;
}

}  // namespace clusterip
