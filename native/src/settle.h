// Frames that have arrived but that no program has seen yet.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace clusterip {

// Of one CPU: the frames that its softirq has processed since the boot, and those in its backlog.
struct CpuBacklog {
  std::uint32_t processed = 0;
  std::uint32_t waiting = 0;
};

// Which CPUs have been seen without a backlog since the start: what waited then has been judged.
// How many frames a CPU has processed tells nothing of that: those that a driver hands over
// itself (NAPI) count too, and pass by the backlog. It tells whether the CPU stands still.
class DrainedCpus {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A CPU that has more than it can do never ends: it is given this time.
  static constexpr std::chrono::milliseconds kLongestBusy{10};
  // One that does nothing, because a hypervisor or a real-time task has it, holds frames that
  // others have answered long ago: it is waited for.
  static constexpr std::chrono::milliseconds kLongestStandstill{1000};

  // `backlogs`: of each CPU, now. True while there is something to wait for.
  [[nodiscard]] bool look(std::span<const CpuBacklog> backlogs, Time now) noexcept;

 private:
  struct Cpu {
    std::uint32_t processed_at_first = 0;
    bool is_drained = false;
    std::optional<Time> moved_at;
  };

  std::vector<Cpu> cpus_;
  Time begun_at_;
  bool has_begun_ = false;
};

// Returns when every frame that waits in the kernel's per-CPU backlogs now has been judged, or
// could have been; see the limits above. A bucket that is gained counts only for frames that
// arrive afterwards: the old owner has answered those before. What waits in a driver's own ring
// cannot be seen.
void settle_received_frames() noexcept;

}  // namespace clusterip
