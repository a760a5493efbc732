// What the tests of the dataplane share: one that serves a virtual IP in the network of network.h,
// frames for it, and its counters.
#pragma once

#include <linux/filter.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "test/network.h"
#include "test/packets.h"
#include "test/require.h"
#include "test/test.h"
#include "userspace/dataplane.h"
#include "verdict/hash.h"

namespace clusterip::test {

using std::chrono::milliseconds;

// For what takes a moment on an idle machine. A busy one, under a sanitizer, may take long for
// anything.
inline constexpr milliseconds kSoon{60000};
inline constexpr milliseconds kNever{100};
inline constexpr std::uint8_t kBuckets = 4;
inline constexpr const char* kMacDigits = "d1d85acccc21";

// RET K: the number of octets to pass.
inline constexpr sock_filter kPassAll{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0xffffffff};
inline constexpr sock_filter kDropAll{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};

inline VirtualIpSettings settings(std::uint16_t local_mask) {
  return {.address_host = kVip,
          .cluster_mac = {0xd1, 0xd8, 0x5a, 0xcc, 0xcc, 0x21},
          .rule = {.hash_init = 7,
                   .local_mask = local_mask,
                   .hash_mode = HASH_SOURCE_IP_SOURCE_PORT,
                   .bucket_count = kBuckets}};
}

// The same with one worker and with several; more than there are CPUs, so that one has nothing to
// do.
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): it declares, as TEST does
#define TEST_WITH_WORKERS(name)          \
  static void name(std::size_t workers); \
  TEST(name##_1) { name(1); }            \
  TEST(name##_3) { name(3); }            \
  static void name(std::size_t workers)

inline std::unique_ptr<Dataplane> started(std::size_t workers = 1) {
  auto queues = Tun::open(kTunName, workers);
  REQUIRE(std::holds_alternative<std::vector<Tun>>(queues));
  auto result = Dataplane::start(std::get<std::vector<Tun>>(std::move(queues)), kSoon);
  REQUIRE(std::holds_alternative<std::unique_ptr<Dataplane>>(result));
  return std::get<std::unique_ptr<Dataplane>>(std::move(result));
}

inline Dataplane::Id id_of(const Result<Dataplane::Id>& result) {
  REQUIRE(std::holds_alternative<Dataplane::Id>(result));
  return std::get<Dataplane::Id>(result);
}

inline int error_of(const Result<Dataplane::Id>& result) {
  const auto* error = std::get_if<SysError>(&result);
  return error == nullptr ? 0 : error->error;
}

inline int error_of(const std::optional<SysError>& error) { return error ? error->error : 0; }

inline NicCounters counters_of(Dataplane& dataplane, Dataplane::Id nic) {
  const auto result = dataplane.nic_counters(nic);
  REQUIRE(std::holds_alternative<NicCounters>(result));
  return std::get<NicCounters>(result);
}

inline VirtualIpCounters buckets_of(Dataplane& dataplane, Dataplane::Id virtual_ip) {
  const auto result = dataplane.virtual_ip_counters(virtual_ip);
  REQUIRE(std::holds_alternative<VirtualIpCounters>(result));
  return std::get<VirtualIpCounters>(result);
}

inline std::uint64_t frames(std::span<const Tally> tallies) {
  return std::accumulate(tallies.begin(), tallies.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Tally& tally) { return sum + tally.frames; });
}

inline std::uint64_t with_reason(const NicCounters& counters, clusterip_reason reason) {
  return counters.by_reason[static_cast<std::size_t>(reason)].frames;
}

// Every frame is counted exactly once.
inline void check_sum(const NicCounters& counters) {
  CHECK_EQUAL(frames(counters.by_reason) + frames(counters.by_drop), counters.received.frames);
}

// A dataplane that serves the virtual IP on nic0.
struct Served {
  std::unique_ptr<Dataplane> dataplane;
  Dataplane::Id nic = 0;
  Dataplane::Id virtual_ip = 0;
};

inline Served serve(std::uint16_t local_mask, std::size_t workers = 1) {
  Served served{.dataplane = started(workers)};
  configure_tun();
  served.nic = id_of(served.dataplane->add_nic());
  REQUIRE(!served.dataplane->open_nic(served.nic, index_of("nic0")));
  served.virtual_ip = id_of(served.dataplane->add_virtual_ip(served.nic, settings(local_mask), {}));
  return served;
}

inline Octets datagram_from(std::uint16_t source_port, std::uint8_t number = 0) {
  return ethernet(ipv4({.source = 0xc6336407}, udp(source_port, 80, {number})));
}

inline unsigned bucket_of_port(std::uint16_t port) {
  const auto word = static_cast<std::uint32_t>(((port & 0xff) << 8) | (port >> 8));
  const clusterip_rule rule = settings(0).rule;
  return clusterip_bucket_of(0xc6336407, {.source = word, .destination = 0x5000}, &rule);
}

inline bool is_local(unsigned bucket, std::uint16_t mask) {
  return ((mask >> (bucket - 1)) & 1) != 0;
}

// Waits until the dataplane has received as many frames.
inline NicCounters counters_after(Dataplane& dataplane, Dataplane::Id nic, std::uint64_t received) {
  NicCounters counters = counters_of(dataplane, nic);
  for (int i = 0; i < 6000 && counters.received.frames + counters.kernel_dropped < received; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    counters = counters_of(dataplane, nic);
  }
  return counters;
}

// Frames of all buckets from a thread of its own, until stop().
class Traffic {
 public:
  // Returns when the first frames are on their way.
  Traffic() : thread_([this] { run(); }) {
    while (sent_ < 10) std::this_thread::sleep_for(milliseconds(1));
  }
  ~Traffic() { stop(); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  std::uint64_t stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return sent_;
  }

 private:
  void run() {
    const Port peer("peer0");
    for (std::uint16_t port = 1024; !stopping_; ++port) {
      if (peer.send(datagram_from(port))) ++sent_;
      if (port % 64 == 0) std::this_thread::sleep_for(milliseconds(1));
    }
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> sent_ = 0;
  std::thread thread_;  // the last: it uses the others
};

// As enter_network(), for tests that need two CPUs.
inline std::optional<std::string> enter_network_of_two() {
  if (std::thread::hardware_concurrency() < 2) return "needs two CPUs";
  return enter_network();
}

// This thread runs on one CPU: a frame that it sends is one of that CPU's worker.
class OnCpu {
 public:
  explicit OnCpu(unsigned cpu) noexcept {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OnCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace clusterip::test
