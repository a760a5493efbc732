#include "settle.h"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

namespace clusterip {
namespace {

constexpr auto kPause = std::chrono::microseconds(50);

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { (void)std::fclose(file); }
};

// One line a CPU, in hexadecimal: first how many frames it has processed, and in the twelfth column
// (since Linux 5.10) how many wait.
std::vector<CpuBacklog> read_backlogs() noexcept {
  std::vector<CpuBacklog> backlogs;
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/net/softnet_stat", "re"));
  if (!file) return backlogs;
  CpuBacklog cpu;
  while (std::fscanf(file.get(), "%x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x%*[^\n]",
                     &cpu.processed, &cpu.waiting) == 2) {
    backlogs.push_back(cpu);
  }
  return backlogs;
}

}  // namespace

bool DrainedCpus::look(std::span<const CpuBacklog> backlogs, Time now) noexcept {
  if (!has_begun_) {
    has_begun_ = true;
    begun_at_ = now;
    for (const CpuBacklog& backlog : backlogs) {
      cpus_.push_back({.processed_at_first = backlog.processed, .moved_at = std::nullopt});
    }
  }
  bool is_worth_waiting = false;
  for (std::size_t index = 0; index < cpus_.size(); ++index) {
    Cpu& cpu = cpus_[index];
    if (index < backlogs.size()) {
      const CpuBacklog& backlog = backlogs[index];
      if (backlog.waiting == 0) cpu.is_drained = true;
      if (!cpu.moved_at && backlog.processed != cpu.processed_at_first) cpu.moved_at = now;
    }
    if (cpu.is_drained) continue;
    const bool is_in_time =
        cpu.moved_at ? now - *cpu.moved_at < kLongestBusy : now - begun_at_ < kLongestStandstill;
    is_worth_waiting = is_worth_waiting || is_in_time;
  }
  return is_worth_waiting;
}

void settle_received_frames() noexcept {
  DrainedCpus cpus;
  while (cpus.look(read_backlogs(), std::chrono::steady_clock::now())) {
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace clusterip
