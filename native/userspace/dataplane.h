// The userspace packet path: a capture socket for each interface, the verdict, and delivery by a
// TUN device, all by one worker (worker.h) or by several. Several share the frames by the CPU
// that received them: each has a socket in the interface's PACKET_FANOUT group, a queue of the
// device, and counters of its own. Which one gets a frame decides nothing, because a verdict
// needs nothing but the frame.
//
// A change reaches the workers one after the other. When a call returns it is in force for the
// next frame, whichever worker gets that: giving up a bucket here and taking it elsewhere
// afterwards never makes two answers. A call that fails has changed nothing: what some workers
// have done by then is taken back. Where that fails too, or where there is no way back (a capture
// that is closed), the workers differ, and every later call fails with EIO: only a new dataplane
// helps.
//
// Calls may come from any thread. Changes run one at a time. Counters are read between them, and
// while a change waits for what has arrived before it (linux/settle.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "linux/sys.h"
#include "userspace/counters.h"
#include "userspace/worker.h"

namespace clusterip {

class Dataplane {
 public:
  using Id = Worker::Id;
  static constexpr std::size_t kMaxWorkers = CLUSTERIP_MAX_WORKERS;

  // EBUSY when the device exists.
  static Result<std::unique_ptr<Dataplane>> start(const std::string& tun_name,
                                                  std::size_t workers = 1);
  // A worker for each queue.
  static Result<std::unique_ptr<Dataplane>> start(std::vector<Tun> queues,
                                                  std::chrono::milliseconds job_timeout);

  // Ends the workers, and with them captures and device. Later calls fail, but those that take
  // something away.
  void stop();

  // Makes the TUN device anew after somebody has removed it.
  std::optional<SysError> reopen_tun(const std::string& tun_name);

  // As in Worker.
  Result<Id> add_nic();
  // When it fails the interface has no capture, whatever it had before.
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
  // What every worker has been told.
  struct Nic {
    Prefilter prefilter;
    bool is_open = false;
    // Of the interface, when the first worker has all of its frames because they could not be
    // shared; or 0.
    int unshared_ifindex = 0;
  };
  struct VirtualIp {
    Id nic = 0;
    VirtualIpSettings settings;
  };

  explicit Dataplane(std::vector<std::unique_ptr<Worker>> workers) noexcept
      : workers_(std::move(workers)) {}

  // Both get a worker and its index. `undo` takes back what `act` has done to it.
  template <typename Act, typename Undo>
  std::optional<SysError> on_all(Act act, Undo undo);
  template <typename Counters, typename Read>
  Result<Counters> sum(Read read);
  // With both locks.
  std::optional<SysError> close(Id nic);
  // To be called before buckets are gained: what has arrived was for their old owner.
  static void settle_before_gain(const Nic& nic, unsigned gained) noexcept;

  // In this order. The second one is for the workers and for what they have been told, which only
  // a change writes: a change that waits has the first one alone.
  std::mutex changes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unordered_map<Id, Nic> nics_;
  std::unordered_map<Id, VirtualIp> virtual_ips_;
  bool is_broken_ = false;
  Id next_id_ = 1;  // 0 is the workers' own
};

}  // namespace clusterip
