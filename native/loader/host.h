// Questions about the host that need no dataplane.
#pragma once

#include <optional>
#include <string>

#include "linux/sys.h"

namespace clusterip {

// Whether programs can be loaded, found again and attached here, tried on the loopback interface.
std::optional<SysError> probe_bpf(const std::string& object_path);

// Takes away what a dead daemon left on an interface: programs, and the subscriptions that their
// maps tell of. True when there was something.
Result<bool> remove_programs(int ifindex);

// Empty when the interface is gone, or its driver has no name.
std::string driver_of(int ifindex);

}  // namespace clusterip
