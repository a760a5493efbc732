// Frames that have arrived but that no program has seen yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clusterip {

// Which CPUs have been seen without a backlog since the start: what waited then has been judged.
// How many frames a CPU has processed tells nothing of that: those that a driver hands over
// itself (NAPI) count too, and pass by the backlog.
class DrainedCpus {
 public:
  // `waiting`: frames in the backlog of each CPU, now. True when each of those of the first look
  // has been seen with none.
  [[nodiscard]] bool look(std::span<const std::uint32_t> waiting) noexcept;

 private:
  std::vector<bool> is_drained_;
  std::size_t left_ = 0;
  bool has_begun_ = false;
};

// Returns when every frame that waits in the kernel's per-CPU backlogs now has been judged, at
// the latest after a few milliseconds: the backlog of a CPU that has more than it can do never
// ends. A bucket that is gained counts only for frames that arrive afterwards: the old owner
// has answered those before.
void settle_received_frames() noexcept;

}  // namespace clusterip
