// Calls of bpf(2) that libbpf 1.1 (Debian 12) does not have: tcx, which came with Linux 6.6 and
// libbpf 1.3. The structures are the kernel's (uapi/linux/bpf.h), under names of our own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "linux/sys.h"

namespace clusterip {

// The programs at the ingress of an interface, first to last, by id.
struct TcxPrograms {
  std::vector<std::uint32_t> ids;
  std::uint64_t revision = 0;
};

// ENODEV when there is no such interface, EINVAL when the kernel has no tcx.
Result<TcxPrograms> tcx_query(int ifindex);
// Puts the program before all others.
std::optional<SysError> tcx_attach_first(int ifindex, int program_fd);
// At once: there is no frame that neither of them sees.
std::optional<SysError> tcx_replace(int ifindex, int program_fd, int old_program_fd);
std::optional<SysError> tcx_detach(int ifindex, int program_fd);

}  // namespace clusterip
