// The tc program at the ingress of an interface: by tcx (Linux 6.6), or as a filter of a clsact
// qdisc. Either belongs to the interface alone: it needs no process, no pin and no mount to
// live on, it is found by asking the interface, and it is gone when the interface is.
#pragma once

#include <optional>

#include "linux/sys.h"
#include "loader/program.h"

namespace clusterip {

enum class TcWay : std::uint8_t { kTcx, kClsact };

struct TcAttachment {
  int ifindex = 0;
  TcWay way = TcWay::kTcx;
  std::uint32_t priority = 0;  // of the clsact filter
  Program program;

  // Whether the program is still there and gets every frame; an error when the interface is not
  // there.
  [[nodiscard]] Result<bool> is_intact() const;
  // Whether it is still there, behind whatever others.
  [[nodiscard]] Result<bool> is_attached() const;
  // Puts another program in its place without a gap.
  [[nodiscard]] std::optional<SysError> replace(Program next);
  // Also takes the qdisc away when nobody else has a filter there. No error when somebody has
  // removed the program already.
  [[nodiscard]] std::optional<SysError> detach() const;
};

// Ours, from this or an earlier life of the daemon.
Result<std::optional<TcAttachment>> find_tc(int ifindex);
// Before all others where tcx is; `way` says which to use at most.
Result<TcAttachment> attach_tc(int ifindex, Program program, TcWay way);

}  // namespace clusterip
