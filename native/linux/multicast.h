// Subscriptions of an interface to link-layer multicast addresses that belong to the interface,
// not to a process: what `ip maddr add` makes. A socket's would end with the daemon.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "linux/sys.h"

namespace clusterip {

using MacAddress = std::array<std::uint8_t, 6>;

// Whether the interface has such a subscription, by us or by the administrator. ENODEV and the
// like when there is no such interface.
Result<bool> is_subscribed(int ifindex, const MacAddress& mac);
std::optional<SysError> subscribe(int ifindex, const MacAddress& mac);
std::optional<SysError> unsubscribe(int ifindex, const MacAddress& mac);

}  // namespace clusterip
