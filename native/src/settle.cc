#include "settle.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

namespace clusterip {
namespace {

constexpr auto kLongest = std::chrono::milliseconds(10);
constexpr auto kPause = std::chrono::microseconds(50);

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { (void)std::fclose(file); }
};

// One line a CPU, in hexadecimal: the twelfth column (since Linux 5.10) says how many frames wait.
std::vector<std::uint32_t> read_backlogs() noexcept {
  std::vector<std::uint32_t> backlogs;
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/net/softnet_stat", "re"));
  if (!file) return backlogs;
  std::uint32_t waiting = 0;
  while (std::fscanf(file.get(), "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x%*[^\n]",
                     &waiting) == 1) {
    backlogs.push_back(waiting);
  }
  return backlogs;
}

}  // namespace

bool DrainedCpus::look(std::span<const std::uint32_t> waiting) noexcept {
  if (!has_begun_) {
    has_begun_ = true;
    is_drained_.assign(waiting.size(), false);
    left_ = waiting.size();
  }
  for (std::size_t cpu = 0; cpu < waiting.size() && cpu < is_drained_.size(); ++cpu) {
    if (waiting[cpu] != 0 || is_drained_[cpu]) continue;
    is_drained_[cpu] = true;
    --left_;
  }
  return left_ == 0;
}

void settle_received_frames() noexcept {
  DrainedCpus cpus;
  const auto deadline = std::chrono::steady_clock::now() + kLongest;
  while (!cpus.look(read_backlogs()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace clusterip
