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

struct Backlog {
  std::uint32_t processed = 0;  // since the machine started; wraps
  std::uint32_t waiting = 0;
};

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { (void)std::fclose(file); }
};

// One line a CPU, in hexadecimal: the first column counts processed frames, the twelfth (since
// Linux 5.10) says how many wait.
std::vector<Backlog> read_backlogs() noexcept {
  std::vector<Backlog> backlogs;
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/net/softnet_stat", "re"));
  if (!file) return backlogs;
  Backlog backlog;
  while (std::fscanf(file.get(), "%x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x%*[^\n]",
                     &backlog.processed, &backlog.waiting) == 2) {
    backlogs.push_back(backlog);
  }
  return backlogs;
}

bool has_settled(const std::vector<Backlog>& start, const std::vector<Backlog>& now) noexcept {
  for (std::size_t cpu = 0; cpu < start.size() && cpu < now.size(); ++cpu) {
    const std::uint32_t processed = now[cpu].processed - start[cpu].processed;
    // First in, first out: what waited at the start has been processed, or nothing waits.
    if (now[cpu].waiting != 0 && processed < start[cpu].waiting) return false;
  }
  return true;
}

}  // namespace

void settle_received_frames() noexcept {
  const std::vector<Backlog> start = read_backlogs();
  const auto deadline = std::chrono::steady_clock::now() + kLongest;
  while (!has_settled(start, read_backlogs()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace clusterip
