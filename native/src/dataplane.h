// The userspace packet path: a capture socket for each interface, the verdict, and delivery by a
// TUN device, all by one worker (worker.h) or by several. Several share the frames by the CPU
// that received them: each has a socket in the interface's PACKET_FANOUT group, a queue of the
// device, and counters of its own. Which one gets a frame decides nothing, because a verdict
// needs nothing but the frame.
//
// A change reaches the workers one after the other. When a call returns it is in force for the
// next frame, whichever worker gets that: giving up a bucket here and taking it elsewhere
// afterwards never makes two answers. Calls may come from any thread, and run one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "counters.h"
#include "sys.h"
#include "worker.h"

namespace clusterip {

class Dataplane {
 public:
  using Id = Worker::Id;
  static constexpr std::size_t kMaxWorkers = 16;

  // EBUSY when the device exists.
  static Result<std::unique_ptr<Dataplane>> start(const std::string& tun_name,
                                                  std::size_t workers = 1);

  // Makes the TUN device anew after somebody has removed it.
  std::optional<SysError> reopen_tun(const std::string& tun_name);

  // As in Worker.
  Result<Id> add_nic();
  std::optional<SysError> open_nic(Id nic, int ifindex);
  std::optional<SysError> close_nic(Id nic);
  std::optional<SysError> remove_nic(Id nic);
  Result<Id> add_virtual_ip(Id nic, const VirtualIpSettings& settings, const Prefilter& prefilter);
  std::optional<SysError> remove_virtual_ip(Id virtual_ip, const Prefilter& prefilter);
  std::optional<SysError> set_local(Id virtual_ip, std::uint16_t local_mask,
                                    const Prefilter& prefilter);
  std::optional<SysError> set_prefilter(Id nic, const Prefilter& prefilter, bool drops_more);
  Result<NicCounters> nic_counters(Id nic);
  Result<VirtualIpCounters> virtual_ip_counters(Id virtual_ip);

 private:
  explicit Dataplane(std::vector<std::unique_ptr<Worker>> workers) noexcept
      : workers_(std::move(workers)) {}

  // Stops at the first error. What can fail for another reason than a stuck worker fails with
  // the first worker, before anything has changed.
  template <typename Act>
  std::optional<SysError> on_all(Act act);
  template <typename Counters, typename Read>
  Result<Counters> sum(Read read);

  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Id next_id_ = 1;  // 0 is the workers' own
};

}  // namespace clusterip
