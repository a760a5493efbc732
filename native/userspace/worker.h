// One thread of the userspace packet path. For every frame that its sockets get:
//
//   NIC --> AF_PACKET socket --> judge() --> TUN --> the host's stack --> sockets on the VIP
//           (capture.h)          (judge.h)   (tun.h)
//                                   '--> foreign, not ours, malformed: counted and forgotten
//
// Replies leave through the host's normal route and never come here. Nothing is allocated per
// frame: the buffers of one batch are made at the start, and a delivered frame is rewritten in
// place and written from there.
//
// All state belongs to the thread. The control side (dataplane.h) hands it short jobs, which run
// between two batches while the control side waits: a snapshot of the counters is consistent,
// and when a call returns, what it changed is in force for the next frame. A bucket that is
// gained counts only for frames that arrive after the call: those that waited in the socket
// before it are judged by the old buckets first, since the old owner has answered them.
//
// A prefilter (made by src/engine/prefilter) drops in the kernel what would be counted and
// forgotten here. Of what it drops it passes one frame in so many, and that one is counted with
// this weight, so those counters are unbiased estimates; everything else is counted exactly.
// A filter changes together with what it was made from, in an order that loses no frame of a
// bucket gained and never gives a frame that every filter passes the weight of a sample.
#pragma once

#include <linux/filter.h>
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "linux/sys.h"
#include "userspace/capture.h"
#include "userspace/counters.h"
#include "userspace/judge.h"
#include "userspace/tun.h"

namespace clusterip {

struct VirtualIpSettings {
  std::uint32_t address_host = 0;
  MacAddress cluster_mac{};
  clusterip_rule rule{};
};

// A program for the capture socket of an interface, and how the frames that it passes count.
struct Prefilter {
  struct Weight {
    std::uint32_t address_host = 0;
    std::uint32_t frames = 1;
  };

  std::vector<sock_filter> program;  // empty: no filter
  std::uint32_t not_ours_weight = 1;
  std::vector<Weight> foreign_weights;  // by virtual IP
};

// A batch takes well below a millisecond; a worker that does not answer for this long is stuck.
inline constexpr std::chrono::milliseconds kJobTimeout{2000};

struct WorkerOptions {
  std::string thread_name;
  bool subscribes = false;  // its sockets hold the interfaces' subscriptions to the cluster MACs
  std::chrono::milliseconds job_timeout = kJobTimeout;
};

// A call that fails has changed nothing, by a timeout (ETIMEDOUT) too.
class Worker {
 public:
  using Id = std::uint32_t;

  static Result<std::unique_ptr<Worker>> start(Tun tun, const WorkerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The caller gets the old one.
  [[nodiscard]] std::optional<SysError> swap_tun(Tun& tun);

  // An interface is known by an id; its capture can be opened and closed as the device comes
  // and goes, while counters and virtual IPs stay. The ids are the caller's.
  [[nodiscard]] std::optional<SysError> add_nic(Id nic);
  // Takes over a socket that passes nothing yet.
  [[nodiscard]] std::optional<SysError> open_nic(Id nic, Capture capture);
  [[nodiscard]] std::optional<SysError> close_nic(Id nic);
  [[nodiscard]] std::optional<SysError> remove_nic(Id nic);

  // The prefilter of a change is the one that fits what is served after it. A change of local
  // buckets either gains or loses: one that does both has to be made in two, losses first.
  // One that comes with an address that the interface has already takes the place, and the
  // counters, of the old one: two of them would each judge by buckets of their own.
  [[nodiscard]] std::optional<SysError> add_virtual_ip(Id virtual_ip, Id nic,
                                                       const VirtualIpSettings& settings,
                                                       const Prefilter& prefilter);
  [[nodiscard]] std::optional<SysError> remove_virtual_ip(Id virtual_ip,
                                                          const Prefilter& prefilter);
  [[nodiscard]] std::optional<SysError> set_local(Id virtual_ip, std::uint16_t local_mask,
                                                  const Prefilter& prefilter);
  // Changes how much is dropped in the kernel, and nothing else.
  [[nodiscard]] std::optional<SysError> set_prefilter(Id nic, const Prefilter& prefilter,
                                                      bool drops_more);

  [[nodiscard]] Result<NicCounters> nic_counters(Id nic);
  [[nodiscard]] Result<VirtualIpCounters> virtual_ip_counters(Id virtual_ip);

 private:
  struct VirtualIpState {
    Id nic = 0;
    VirtualIpSettings settings;
    VirtualIpCounters counters;
    std::uint32_t foreign_weight = 1;
  };

  struct Nic {
    std::optional<Capture> capture;
    VirtualIpTable table;
    NicCounters counters;
    Prefilter prefilter;
    std::uint32_t not_ours_weight = 1;
  };

  struct Job {
    std::function<void()> run;
    bool done = false;
  };

  Worker(Tun tun, const WorkerOptions& options, Fd epoll, Fd wake) noexcept;
  std::optional<SysError> on_worker(std::function<void()> task);
  // The same with the interface or virtual IP of an id; ENOENT when there is none.
  template <typename State, typename Act>
  std::optional<SysError> with(std::unordered_map<Id, State>& states, Id id, Act act);
  void wake_worker() const noexcept;
  void work() noexcept;
  void run_jobs();
  // Receives and judges one batch; returns the number of frames.
  std::size_t process_batch(Nic& nic) noexcept;
  void process_frame(Nic& nic, const CapturedFrame& captured) noexcept;
  // How many frames this one stands for.
  [[nodiscard]] static std::uint32_t weight_of(const Nic& nic, const CapturedFrame& captured,
                                               const Judgement& judgement,
                                               const VirtualIpState* owner) noexcept;
  // Judges every frame that waits now by the settings in force until now.
  void settle(Nic& nic) noexcept;
  // Runs `swap`, which changes what is served, together with the prefilter that fits it.
  void change(Nic& nic, Id id, const Prefilter& prefilter, bool drops_more,
              const std::function<void()>& swap);
  void attach_prefilter(Nic& nic, Id id) noexcept;
  void apply_weights(Nic& nic, Id id) noexcept;
  void rebuild_table(Id nic);
  [[nodiscard]] std::optional<SysError> adopt(Nic& nic, Id id, Capture capture);

  Tun tun_;
  bool subscribes_;
  std::chrono::milliseconds job_timeout_;
  Fd epoll_;
  Fd wake_;
  FrameBatch batch_;
  std::unordered_map<Id, Nic> nics_;
  std::unordered_map<Id, VirtualIpState> virtual_ips_;

  std::mutex mutex_;
  std::condition_variable job_done_;
  std::deque<std::shared_ptr<Job>> jobs_;
  bool stopping_ = false;
  // Not std::thread: without exceptions that ends the process when there can be no more threads.
  std::optional<pthread_t> thread_;
};

}  // namespace clusterip
