// What the packet path counts. Every worker has its own; they are added up when they are read.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "generated/facts.h"

namespace clusterip {

struct Tally {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;  // of the frame, with its Ethernet header

  void add(std::size_t size, std::uint32_t weight = 1) noexcept {
    frames += weight;
    bytes += std::uint64_t{size} * weight;
  }

  Tally& operator+=(const Tally& other) noexcept {
    frames += other.frames;
    bytes += other.bytes;
    return *this;
  }
};

template <std::size_t kSize>
std::array<Tally, kSize>& operator+=(std::array<Tally, kSize>& sum,
                                     const std::array<Tally, kSize>& other) noexcept {
  for (std::size_t i = 0; i < kSize; ++i) sum[i] += other[i];
  return sum;
}

// The variance of an estimated number of frames: a frame that stands for w of them was one of
// independent trials with probability 1/w and adds w (w - 1).
struct Variance {
  double frames = 0;

  void add(std::uint32_t weight) noexcept {
    frames += static_cast<double>(weight) * (static_cast<double>(weight) - 1);
  }
};

// The newest is known by its time: workers fail at different times, and the counters of all are
// added up in no order.
struct DeliveryError {
  int number = 0;  // of errno, 0 when none was seen
  std::chrono::steady_clock::time_point at;

  DeliveryError& operator+=(const DeliveryError& other) noexcept {
    if (other.at > at) *this = other;
    return *this;
  }
};

struct NicCounters {
  Tally received;
  Variance received_variance;
  std::array<Tally, REASON_COUNT> by_reason;  // for accepted reasons: delivered ones only
  std::array<Tally, DROP_COUNT> by_drop;
  // Not part of `received`: the kernel could not queue or could not hand over these.
  std::uint64_t kernel_dropped = 0;
  std::uint64_t capture_errors = 0;
  int prefilter_errno = 0;  // why the prefilter is not in force, 0 when it is
  // The capture has to be opened again: its interface is gone or has left this network namespace,
  // maybe to come back as what it was; or the frames can be shared among the workers now.
  bool is_capture_stale = false;
  DeliveryError last_delivery_error;

  NicCounters& operator+=(const NicCounters& other) noexcept {
    received += other.received;
    received_variance.frames += other.received_variance.frames;
    by_reason += other.by_reason;
    by_drop += other.by_drop;
    kernel_dropped += other.kernel_dropped;
    capture_errors += other.capture_errors;
    // One that has an error is enough to tell.
    if (other.prefilter_errno != 0) prefilter_errno = other.prefilter_errno;
    is_capture_stale |= other.is_capture_stale;
    last_delivery_error += other.last_delivery_error;
    return *this;
  }
};

struct VirtualIpCounters {
  std::array<Tally, CLUSTERIP_MAX_BUCKETS> local;    // by bucket - 1
  std::array<Tally, CLUSTERIP_MAX_BUCKETS> foreign;  // by bucket - 1
  Variance foreign_variance;
  Tally without_bucket;  // accepted later fragments and the like

  VirtualIpCounters& operator+=(const VirtualIpCounters& other) noexcept {
    local += other.local;
    foreign += other.foreign;
    foreign_variance.frames += other.foreign_variance.frames;
    without_bucket += other.without_bucket;
    return *this;
  }
};

}  // namespace clusterip
