#include "userspace/worker.h"

#include <linux/if_ether.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

namespace clusterip {
namespace {

constexpr std::uint64_t kWakeTag = 0;          // interface ids start at 1
constexpr std::uint16_t kVlanIdMask = 0x0fff;  // IEEE 802.1Q

SysError unknown_id() noexcept { return {.call = "lookup", .error = ENOENT}; }

// The kernel has taken the tag off; VLAN 0 only carries a priority.
bool is_of_vlan(const CapturedFrame& captured) noexcept {
  return captured.has_vlan_tag && (captured.vlan_tci & kVlanIdMask) != 0;
}

bool has_inner_tag(const CapturedFrame& captured) noexcept {
  const auto frame = captured.frame;
  if (is_of_vlan(captured) || frame.size() < ETH_HLEN) return false;
  const auto ether_type = static_cast<std::uint16_t>((frame[12] << 8) | frame[13]);
  return ether_type == ETH_P_8021Q || ether_type == ETH_P_8021AD;
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(Tun tun, const WorkerOptions& options) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return last_error("epoll_create1");
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return last_error("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeTag;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return last_error("epoll_ctl");
  }
  std::unique_ptr<Worker> worker(
      new Worker(std::move(tun), options, std::move(epoll), std::move(wake)));
  // Signals are JavaScript's: the thread inherits a mask that blocks them all.
  sigset_t all;
  sigset_t previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  const auto run = [](void* self) -> void* {
    static_cast<Worker*>(self)->work();
    return nullptr;
  };
  pthread_t thread{};
  const int refusal = pthread_create(&thread, nullptr, run, worker.get());
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  if (refusal != 0) return SysError{.call = "pthread_create", .error = refusal};
  worker->thread_ = thread;
  pthread_setname_np(thread, options.thread_name.c_str());
  return worker;
}

Worker::Worker(Tun tun, const WorkerOptions& options, Fd epoll, Fd wake) noexcept
    : tun_(std::move(tun)),
      subscribes_(options.subscribes),
      job_timeout_(options.job_timeout),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  if (!thread_) return;
  wake_worker();
  pthread_join(*thread_, nullptr);
}

void Worker::wake_worker() const noexcept {
  const std::uint64_t one = 1;
  // It fails only when the worker has not looked 2^64 times.
  [[maybe_unused]] const ssize_t size = ::write(wake_.get(), &one, sizeof one);
}

std::optional<SysError> Worker::on_worker(std::function<void()> task) {
  const auto job = std::make_shared<Job>();
  job->run = std::move(task);
  std::unique_lock lock(mutex_);
  jobs_.push_back(job);
  wake_worker();
  if (job_done_.wait_for(lock, job_timeout_, [&job] { return job->done; })) return std::nullopt;
  // It refers to the caller's stack: it must not run any more. run_jobs() holds the lock while
  // a job runs, so here it has not begun.
  std::erase(jobs_, job);
  return SysError{.call = "worker", .error = ETIMEDOUT};
}

void Worker::run_jobs() {
  std::uint64_t count = 0;
  // It fails when another round has read it already.
  [[maybe_unused]] const ssize_t size = ::read(wake_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  for (const auto& job : jobs_) {
    job->run();
    job->done = true;
  }
  jobs_.clear();
  job_done_.notify_all();
}

void Worker::work() noexcept {
  std::array<epoll_event, 16> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
      if (tag == kWakeTag) {
        run_jobs();
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
      } else if (const auto nic = nics_.find(static_cast<Id>(tag)); nic != nics_.end()) {
        (void)process_batch(nic->second);
      }
    }
  }
}

std::size_t Worker::process_batch(Nic& nic) noexcept {
  if (!nic.capture) return 0;  // closed by a job of this same round
  const std::size_t count = batch_.receive(nic.capture->fd());
  if (count == 0 && errno != EAGAIN && errno != EINTR) {
    // ENETDOWN: the link went down, the socket goes on when it is up again. EINVAL: a kind of
    // merged frame that this kernel cannot describe in a virtio_net_hdr; it is lost.
    if (errno != ENETDOWN) ++nic.counters.capture_errors;
  }
  for (std::size_t i = 0; i < count; ++i) process_frame(nic, batch_.at(i));
  return count;
}

void Worker::process_frame(Nic& nic, const CapturedFrame& captured) noexcept {
  if (captured.is_outgoing) return;
  NicCounters& counters = nic.counters;
  const std::size_t size = captured.frame.size();
  if (captured.truncated) {
    counters.received.add(size);
    counters.by_drop[DROP_CAPTURE_TRUNCATED].add(size);
    return;
  }
  Judgement judgement{};
  judgement.reason = REASON_VLAN_TAGGED;
  if (!is_of_vlan(captured)) judgement = judge(captured.frame, captured.packet_type, nic.table);
  VirtualIpState* owner = nullptr;
  if (judgement.is_ours) {
    const auto found = virtual_ips_.find(static_cast<Id>(judgement.engine_word));
    if (found != virtual_ips_.end()) owner = &found->second;
  }
  const std::uint32_t weight = weight_of(nic, captured, judgement, owner);
  counters.received.add(size, weight);
  counters.received_variance.add(weight);
  const bool is_accepted = clusterip_is_accepted(judgement.reason);
  if (is_accepted && !tun_.deliver(captured.frame, judgement)) {
    counters.by_drop[DROP_DELIVERY_FAILED].add(size);
    counters.last_delivery_error = {.number = errno, .at = std::chrono::steady_clock::now()};
    return;
  }
  counters.by_reason[judgement.reason].add(size, weight);
  if (owner == nullptr) return;
  VirtualIpCounters& by_bucket = owner->counters;
  if (judgement.reason == REASON_LOCAL_BUCKET) {
    by_bucket.local[judgement.bucket - 1u].add(size);
  } else if (judgement.reason == REASON_FOREIGN_BUCKET) {
    by_bucket.foreign[judgement.bucket - 1u].add(size, weight);
    by_bucket.foreign_variance.add(weight);
  } else if (is_accepted) {
    by_bucket.without_bucket.add(size);
  }
}

std::uint32_t Worker::weight_of(const Nic& nic, const CapturedFrame& captured,
                                const Judgement& judgement, const VirtualIpState* owner) noexcept {
  const clusterip_verdict verdict = clusterip_verdict_of(judgement.reason);
  if (verdict != VERDICT_FOREIGN && verdict != VERDICT_NOT_OURS) return 1;
  // What needs a look inside always passes the filter: it stands for itself alone.
  if (judgement.by_inner_flow || has_inner_tag(captured)) return 1;
  if (verdict == VERDICT_NOT_OURS) return nic.not_ours_weight;
  return owner == nullptr ? 1 : owner->foreign_weight;
}

void Worker::settle(Nic& nic) noexcept {
  if (!nic.capture) return;
  // The queue is first in, first out: after as many frames as can wait now, or once it ran
  // empty, every frame that was there at the start has been judged.
  std::size_t budget = nic.capture->pending_bound();
  for (;;) {
    const std::size_t count = process_batch(nic);
    if (count == 0 && errno == EAGAIN) return;
    // A frame that the kernel could not hand over was in the queue as well.
    const std::size_t taken = std::max(count, std::size_t{1});
    if (taken >= budget) return;
    budget -= taken;
  }
}

void Worker::attach_prefilter(Nic& nic, Id id) noexcept {
  if (!nic.capture) return;
  const auto attach = [&nic] { return nic.capture->set_filter(nic.prefilter.program) ? 0 : errno; };
  int& refusal = nic.counters.prefilter_errno;
  const int first = attach();
  refusal = first;
  if (refusal == 0) return;
  if (first == ENOMEM) settle(nic);  // what waits has passed the old filter, and counts by that
  nic.capture->clear_filter();
  apply_weights(nic, id);  // everything passes from now on
  if (first != ENOMEM) return;
  // While a filter is replaced both count against net.core.optmem_max: alone it may fit. What has
  // passed in between is nobody's sample.
  refusal = attach();
  if (refusal == 0) settle(nic);
}

void Worker::apply_weights(Nic& nic, Id id) noexcept {
  const bool in_force = nic.counters.prefilter_errno == 0;
  nic.not_ours_weight = in_force ? nic.prefilter.not_ours_weight : 1;
  for (auto& [_, state] : virtual_ips_) {
    if (state.nic != id) continue;
    const auto wanted =
        std::ranges::find(nic.prefilter.foreign_weights, state.settings.address_host,
                          &Prefilter::Weight::address_host);
    const bool is_sampled = in_force && wanted != nic.prefilter.foreign_weights.end();
    state.foreign_weight = is_sampled ? wanted->frames : 1;
  }
}

void Worker::change(Nic& nic, Id id, const Prefilter& prefilter, bool drops_more,
                    const std::function<void()>& swap) {
  // A filter that drops more comes first: when what waits has been judged by the old settings,
  // all that comes later has passed the new filter and may be weighed by it. One that drops less
  // comes last, right before its settings: what it newly passes must not be taken for samples.
  if (!drops_more) settle(nic);
  nic.prefilter = prefilter;
  attach_prefilter(nic, id);
  if (drops_more) settle(nic);
  swap();
  apply_weights(nic, id);
}

void Worker::rebuild_table(Id nic) {
  std::vector<VirtualIp> entries;
  for (const auto& [id, state] : virtual_ips_) {
    if (state.nic != nic) continue;
    entries.push_back(
        {.address_host = state.settings.address_host, .rule = state.settings.rule, .id = id});
  }
  nics_[nic].table.assign(entries);
}

std::optional<SysError> Worker::swap_tun(Tun& tun) {
  return on_worker([&] { std::swap(tun_, tun); });
}

std::optional<SysError> Worker::add_nic(Id nic) {
  return on_worker([&] { nics_[nic]; });
}

std::optional<SysError> Worker::adopt(Nic& nic, Id id, Capture capture) {
  for (const auto& [_, state] : virtual_ips_) {
    if (subscribes_ && state.nic == id && !capture.join(state.settings.cluster_mac)) {
      return last_error("PACKET_ADD_MEMBERSHIP");
    }
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, capture.fd(), &event) != 0) {
    return last_error("epoll_ctl");
  }
  nic.capture = std::move(capture);
  attach_prefilter(nic, id);
  apply_weights(nic, id);
  return std::nullopt;
}

template <typename State, typename Act>
std::optional<SysError> Worker::with(std::unordered_map<Id, State>& states, Id id, Act act) {
  std::optional<SysError> result;
  const auto stuck = on_worker([&] {
    const auto found = states.find(id);
    result = found == states.end() ? unknown_id() : act(found->second);
  });
  return stuck ? stuck : result;
}

std::optional<SysError> Worker::open_nic(Id nic, Capture capture) {
  return with(nics_, nic, [&](Nic& found) { return adopt(found, nic, std::move(capture)); });
}

std::optional<SysError> Worker::close_nic(Id nic) {
  return on_worker([&] {
    const auto found = nics_.find(nic);
    if (found == nics_.end() || !found->second.capture) return;
    found->second.counters.kernel_dropped += found->second.capture->take_drops();
    found->second.capture.reset();  // closing the socket takes it out of the epoll set
  });
}

std::optional<SysError> Worker::remove_nic(Id nic) {
  return on_worker([&] {
    std::erase_if(virtual_ips_, [&](const auto& entry) { return entry.second.nic == nic; });
    nics_.erase(nic);
  });
}

std::optional<SysError> Worker::add_virtual_ip(Id virtual_ip, Id nic,
                                               const VirtualIpSettings& settings,
                                               const Prefilter& prefilter) {
  return with(nics_, nic, [&](Nic& found) -> std::optional<SysError> {
    if (subscribes_ && found.capture && !found.capture->join(settings.cluster_mac)) {
      return last_error("PACKET_ADD_MEMBERSHIP");
    }
    const auto old = std::ranges::find_if(virtual_ips_, [&](const auto& entry) {
      const VirtualIpState& state = entry.second;
      return state.nic == nic && state.settings.address_host == settings.address_host;
    });
    change(found, nic, prefilter, false, [&] {
      VirtualIpState state{.nic = nic, .settings = settings, .counters = {}};
      if (old != virtual_ips_.end()) {
        state.counters = old->second.counters;
        // Memberships are counted: where the MAC is the same, the new one's stays.
        if (subscribes_ && found.capture) {
          (void)found.capture->leave(old->second.settings.cluster_mac);
        }
        virtual_ips_.erase(old);
      }
      virtual_ips_[virtual_ip] = state;
      rebuild_table(nic);
    });
    return std::nullopt;
  });
}

std::optional<SysError> Worker::remove_virtual_ip(Id virtual_ip, const Prefilter& prefilter) {
  return on_worker([&] {
    const auto found = virtual_ips_.find(virtual_ip);
    if (found == virtual_ips_.end()) return;
    const Id id = found->second.nic;
    Nic& nic = nics_[id];
    // It fails when the device is gone, and then there is nothing to leave.
    if (subscribes_ && nic.capture) (void)nic.capture->leave(found->second.settings.cluster_mac);
    change(nic, id, prefilter, true, [&] {
      virtual_ips_.erase(found);
      rebuild_table(id);
    });
  });
}

std::optional<SysError> Worker::set_local(Id virtual_ip, std::uint16_t local_mask,
                                          const Prefilter& prefilter) {
  return with(virtual_ips_, virtual_ip, [&](VirtualIpState& state) -> std::optional<SysError> {
    const bool gains = (local_mask & ~unsigned{state.settings.rule.local_mask}) != 0;
    change(nics_[state.nic], state.nic, prefilter, !gains, [&] {
      state.settings.rule.local_mask = local_mask;
      rebuild_table(state.nic);
    });
    return std::nullopt;
  });
}

std::optional<SysError> Worker::set_prefilter(Id nic, const Prefilter& prefilter, bool drops_more) {
  return with(nics_, nic, [&](Nic& found) -> std::optional<SysError> {
    change(found, nic, prefilter, drops_more, [] {});
    return std::nullopt;
  });
}

Result<NicCounters> Worker::nic_counters(Id nic) {
  NicCounters counters;
  const auto failed = with(nics_, nic, [&](Nic& found) -> std::optional<SysError> {
    if (found.capture) found.counters.kernel_dropped += found.capture->take_drops();
    counters = found.counters;
    counters.is_capture_stale = found.capture && !found.capture->is_bound();
    return std::nullopt;
  });
  if (failed) return *failed;
  return counters;
}

Result<VirtualIpCounters> Worker::virtual_ip_counters(Id virtual_ip) {
  VirtualIpCounters counters;
  const auto failed =
      with(virtual_ips_, virtual_ip, [&](VirtualIpState& found) -> std::optional<SysError> {
        counters = found.counters;
        return std::nullopt;
      });
  if (failed) return *failed;
  return counters;
}

}  // namespace clusterip
