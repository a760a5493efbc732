// The XDP program of an interface. There can be one: where somebody else has put theirs, it
// stays, and the tc program does all of the work.
#pragma once

#include <optional>

#include "linux/sys.h"
#include "loader/program.h"

namespace clusterip {

enum class XdpMode : std::uint8_t { kOff, kNative, kGeneric };

struct XdpAttachment {
  int ifindex = 0;
  XdpMode mode = XdpMode::kOff;
  Program program;

  [[nodiscard]] std::optional<SysError> replace(Program next);
  // No error when somebody has removed or replaced the program already.
  [[nodiscard]] std::optional<SysError> detach() const;
};

// What is attached to the interface: ours, or the id of another one.
struct XdpState {
  std::optional<XdpAttachment> ours;
  std::uint32_t other_id = 0;
};

Result<XdpState> find_xdp(int ifindex);
// EOPNOTSUPP when the driver has no native XDP, EBUSY when another program is there.
Result<XdpAttachment> attach_xdp(int ifindex, Program program, XdpMode mode);

}  // namespace clusterip
