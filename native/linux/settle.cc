#include "linux/settle.h"

#include <atomic>
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
    for (const CpuBacklog& backlog : backlogs) cpus_.push_back({.processed = backlog.processed});
  } else {
    for (std::size_t index = 0; index < cpus_.size() && index < backlogs.size(); ++index) {
      Cpu& cpu = cpus_[index];
      if (cpu.processed != backlogs[index].processed) cpu.busy += now - looked_at_;
      cpu.processed = backlogs[index].processed;
    }
  }
  looked_at_ = now;
  bool is_one_left = false;
  for (std::size_t index = 0; index < cpus_.size(); ++index) {
    Cpu& cpu = cpus_[index];
    if (index < backlogs.size() && backlogs[index].waiting == 0) cpu.is_drained = true;
    is_one_left = is_one_left || (!cpu.is_drained && cpu.busy < kLongestBusy);
  }
  has_given_up_ = is_one_left && now - begun_at_ >= longest_;
  return is_one_left && !has_given_up_;
}

void settle_received_frames() noexcept {
  // A change may gain buckets of a hundred virtual IPs, one after the other and each on any thread:
  // a CPU that does not go on is waited for once and not each time, or a watchdog would end the
  // caller.
  using Duration = DrainedCpus::Duration;
  constexpr Duration kUntilNextTime = std::chrono::seconds(10);
  static std::atomic<Duration> given_up_at{-kUntilNextTime};  // since the boot
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const bool has_waited = now().time_since_epoch() - given_up_at.load() < kUntilNextTime;
  DrainedCpus cpus(has_waited ? DrainedCpus::kLongestBusy : DrainedCpus::kLongest);
  while (cpus.look(read_backlogs(), now())) std::this_thread::sleep_for(kPause);
  if (!has_waited && cpus.has_given_up()) given_up_at = now().time_since_epoch();
}

}  // namespace clusterip
