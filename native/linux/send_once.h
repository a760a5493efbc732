// Single messages that the control side sends, outside the packet path: a raw Ethernet frame and a
// datagram to the service manager. Node.js has neither kind of socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "linux/sys.h"

namespace clusterip {

// Sends the frame as it is: no layer below touches it, nft's arp hook neither.
std::optional<SysError> send_frame(int ifindex, std::span<const std::uint8_t> frame) noexcept;

// sd_notify(3): `path` is NOTIFY_SOCKET, where a leading @ stands for the abstract namespace.
std::optional<SysError> send_datagram(const std::string& path, const std::string& text) noexcept;

}  // namespace clusterip
