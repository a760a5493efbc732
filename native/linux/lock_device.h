// A name that one process of a network namespace can have.
#pragma once

#include <string>

#include "linux/sys.h"

namespace clusterip {

// Makes a TUN device that nobody is to use: its name is the lock. The kernel removes it with the
// descriptor, however the process ends. EBUSY when there is a device of that name.
Result<Fd> lock_device(const std::string& name) noexcept;

}  // namespace clusterip
