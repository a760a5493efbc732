// Frames that have arrived but that no program has seen yet.
#pragma once

#include <chrono>
#include <cstdint>
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
// itself (NAPI) count too, and pass by the backlog. It tells when the CPU stands still.
class DrainedCpus {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  // A CPU that has more than it can do never ends: so long it may be at work.
  static constexpr std::chrono::milliseconds kLongestBusy{10};
  // One that stands still, because a hypervisor or a real-time task has it, holds frames that
  // others have answered long ago: it is waited for.
  static constexpr std::chrono::milliseconds kLongest{1000};

  explicit DrainedCpus(Duration longest = kLongest) noexcept : longest_(longest) {}

  // `backlogs`: of each CPU, now. True while there is something to wait for.
  [[nodiscard]] bool look(std::span<const CpuBacklog> backlogs, Time now) noexcept;

  // Whether the time was up before a CPU that stood still had gone on.
  [[nodiscard]] bool has_given_up() const noexcept { return has_given_up_; }

 private:
  struct Cpu {
    std::uint32_t processed = 0;
    bool is_drained = false;
    Duration busy{};
  };

  std::vector<Cpu> cpus_;
  Duration longest_;
  Time begun_at_;
  Time looked_at_;
  bool has_begun_ = false;
  bool has_given_up_ = false;
};

// Returns when every frame that waits in the kernel's per-CPU backlogs now has been judged, or
// could have been; see the limits above. A bucket that is gained counts only for frames that
// arrive afterwards: the old owner has answered those before. What waits in a driver's own ring
// cannot be seen.
void settle_received_frames() noexcept;

}  // namespace clusterip
