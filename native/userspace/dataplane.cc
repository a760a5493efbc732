#include "userspace/dataplane.h"

#include <algorithm>
#include <utility>

#include "linux/settle.h"

namespace clusterip {
namespace {

SysError unknown_id() noexcept { return {.call = "lookup", .error = ENOENT}; }

SysError is_stopped() noexcept { return {.call = "dataplane", .error = EBADF}; }

SysError workers_differ() noexcept {
  return {.call = "a change that reached only some of the workers", .error = EIO};
}

}  // namespace

Result<std::unique_ptr<Dataplane>> Dataplane::start(const std::string& tun_name,
                                                    std::size_t workers) {
  if (workers < 1 || workers > kMaxWorkers) return SysError{.call = "workers", .error = EINVAL};
  auto queues = Tun::open(tun_name, workers);
  if (const auto* error = std::get_if<SysError>(&queues)) return *error;
  return start(std::get<std::vector<Tun>>(std::move(queues)), kJobTimeout);
}

Result<std::unique_ptr<Dataplane>> Dataplane::start(std::vector<Tun> queues,
                                                    std::chrono::milliseconds job_timeout) {
  std::vector<std::unique_ptr<Worker>> started;
  for (Tun& queue : queues) {
    const std::size_t index = started.size();
    auto worker =
        Worker::start(std::move(queue),
                      {.thread_name = "clusteripd-io" + (index == 0 ? "" : std::to_string(index)),
                       .subscribes = index == 0,
                       .job_timeout = job_timeout});
    if (const auto* error = std::get_if<SysError>(&worker)) return *error;
    started.push_back(std::get<std::unique_ptr<Worker>>(std::move(worker)));
  }
  return std::unique_ptr<Dataplane>(new Dataplane(std::move(started)));
}

template <typename Act, typename Undo>
std::optional<SysError> Dataplane::on_all(Act act, Undo undo) {
  if (workers_.empty()) return is_stopped();
  if (is_broken_) return workers_differ();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::optional<SysError> error = act(*workers_[i], i);
    if (!error) continue;
    for (std::size_t done = 0; done < i; ++done) {
      if (undo(*workers_[done], done)) is_broken_ = true;
    }
    return error;
  }
  return std::nullopt;
}

template <typename Counters, typename Read>
Result<Counters> Dataplane::sum(Read read) {
  Counters sum;
  const auto failed = on_all(
      [&](Worker& worker, std::size_t) -> std::optional<SysError> {
        const Result<Counters> result = read(worker);
        if (const auto* error = std::get_if<SysError>(&result)) return *error;
        sum += std::get<Counters>(result);
        return std::nullopt;
      },
      [](Worker&, std::size_t) { return false; });
  if (failed) return *failed;
  return sum;
}

void Dataplane::settle_before_gain(const Nic& nic, unsigned gained) noexcept {
  if (gained != 0 && nic.is_open) settle_received_frames();
}

void Dataplane::stop() {
  const std::scoped_lock lock(changes_, mutex_);
  workers_.clear();
  virtual_ips_.clear();
  nics_.clear();
}

std::optional<SysError> Dataplane::reopen_tun(const std::string& tun_name) {
  const std::lock_guard change(changes_);
  auto opened = Tun::open(tun_name, workers_.size());
  if (const auto* error = std::get_if<SysError>(&opened)) return *error;
  auto& tuns = std::get<std::vector<Tun>>(opened);
  const auto swap = [&](Worker& worker, std::size_t i) { return worker.swap_tun(tuns[i]); };
  const std::lock_guard lock(mutex_);
  return on_all(swap, swap);
}

Result<Dataplane::Id> Dataplane::add_nic() {
  const std::scoped_lock lock(changes_, mutex_);
  const Id id = next_id_++;
  const auto failed = on_all([&](Worker& worker, std::size_t) { return worker.add_nic(id); },
                             [&](Worker& worker, std::size_t) { return worker.remove_nic(id); });
  if (failed) return *failed;
  nics_[id];
  return id;
}

std::optional<SysError> Dataplane::open_nic(Id nic, int ifindex) {
  const std::lock_guard change(changes_);
  std::unique_lock lock(mutex_);
  const auto found = nics_.find(nic);
  if (found == nics_.end()) return unknown_id();
  // The old sockets first: with some of both no frame would have just one reader.
  if (const auto error = close(nic)) return error;
  lock.unlock();
  auto opened = Capture::open(ifindex, workers_.size());
  if (const auto* error = std::get_if<SysError>(&opened)) return *error;
  auto& captures = std::get<std::vector<Capture>>(opened);
  // The sockets pass nothing yet. What they pass from now on counts for all buckets that are
  // there already.
  found->second.is_open = true;
  for (const auto& [_, virtual_ip] : virtual_ips_) {
    if (virtual_ip.nic != nic || virtual_ip.settings.rule.local_mask == 0) continue;
    settle_before_gain(found->second, virtual_ip.settings.rule.local_mask);
    break;
  }
  lock.lock();
  const auto failed = on_all(
      [&](Worker& worker, std::size_t i) -> std::optional<SysError> {
        if (i >= captures.size()) return std::nullopt;
        return worker.open_nic(nic, std::move(captures[i]));
      },
      [&](Worker& worker, std::size_t) { return worker.close_nic(nic); });
  found->second.is_open = !failed;
  const bool is_unshared = !failed && captures.size() < workers_.size();
  found->second.unshared_ifindex = is_unshared ? ifindex : 0;
  return failed;
}

std::optional<SysError> Dataplane::close(Id nic) {
  const auto found = nics_.find(nic);
  if (found == nics_.end() || !found->second.is_open) return std::nullopt;
  const auto failed = on_all([&](Worker& worker, std::size_t) { return worker.close_nic(nic); },
                             [](Worker&, std::size_t) { return true; });
  if (failed) return failed;
  found->second.is_open = false;
  found->second.unshared_ifindex = 0;
  return std::nullopt;
}

std::optional<SysError> Dataplane::close_nic(Id nic) {
  const std::scoped_lock lock(changes_, mutex_);
  return close(nic);
}

std::optional<SysError> Dataplane::remove_nic(Id nic) {
  const std::scoped_lock lock(changes_, mutex_);
  const auto failed = on_all([&](Worker& worker, std::size_t) { return worker.remove_nic(nic); },
                             [](Worker&, std::size_t) { return true; });
  if (failed) return failed;
  std::erase_if(virtual_ips_, [&](const auto& entry) { return entry.second.nic == nic; });
  nics_.erase(nic);
  return std::nullopt;
}

Result<Dataplane::Id> Dataplane::add_virtual_ip(Id nic, const VirtualIpSettings& settings,
                                                const Prefilter& prefilter) {
  const std::lock_guard change(changes_);
  const auto found = nics_.find(nic);
  if (found == nics_.end()) return unknown_id();
  Prefilter& before = found->second.prefilter;
  const auto old = std::ranges::find_if(virtual_ips_, [&](const auto& entry) {
    const VirtualIp& virtual_ip = entry.second;
    return virtual_ip.nic == nic && virtual_ip.settings.address_host == settings.address_host;
  });
  const bool is_known = old != virtual_ips_.end();
  const unsigned had = is_known ? old->second.settings.rule.local_mask : 0u;
  settle_before_gain(found->second, settings.rule.local_mask & ~had);
  const std::lock_guard lock(mutex_);
  const Id id = next_id_++;
  const auto failed = on_all(
      [&](Worker& worker, std::size_t) {
        return worker.add_virtual_ip(id, nic, settings, prefilter);
      },
      [&](Worker& worker, std::size_t) {
        return is_known ? worker.add_virtual_ip(old->first, nic, old->second.settings, before)
                        : worker.remove_virtual_ip(id, before);
      });
  if (failed) return *failed;
  if (is_known) virtual_ips_.erase(old);
  virtual_ips_[id] = {.nic = nic, .settings = settings};
  before = prefilter;
  return id;
}

std::optional<SysError> Dataplane::remove_virtual_ip(Id virtual_ip, const Prefilter& prefilter) {
  const std::scoped_lock lock(changes_, mutex_);
  const auto found = virtual_ips_.find(virtual_ip);
  if (found == virtual_ips_.end()) return std::nullopt;
  const VirtualIp& known = found->second;
  Prefilter& before = nics_[known.nic].prefilter;
  const auto failed = on_all(
      [&](Worker& worker, std::size_t) { return worker.remove_virtual_ip(virtual_ip, prefilter); },
      // It counts from 0 again there.
      [&](Worker& worker, std::size_t) {
        return worker.add_virtual_ip(virtual_ip, known.nic, known.settings, before);
      });
  if (failed) return failed;
  before = prefilter;
  virtual_ips_.erase(found);
  return std::nullopt;
}

std::optional<SysError> Dataplane::set_local(Id virtual_ip, std::uint16_t local_mask,
                                             const Prefilter& prefilter) {
  const std::lock_guard change(changes_);
  const auto found = virtual_ips_.find(virtual_ip);
  if (found == virtual_ips_.end()) return unknown_id();
  std::uint16_t& had = found->second.settings.rule.local_mask;
  Nic& nic = nics_[found->second.nic];
  settle_before_gain(nic, local_mask & ~unsigned{had});
  const std::lock_guard lock(mutex_);
  const auto failed =
      on_all([&](Worker& worker,
                 std::size_t) { return worker.set_local(virtual_ip, local_mask, prefilter); },
             [&](Worker& worker, std::size_t) {
               return worker.set_local(virtual_ip, had, nic.prefilter);
             });
  if (failed) return failed;
  had = local_mask;
  nic.prefilter = prefilter;
  return std::nullopt;
}

std::optional<SysError> Dataplane::set_prefilter(Id nic, const Prefilter& prefilter,
                                                 bool drops_more) {
  const std::scoped_lock lock(changes_, mutex_);
  const auto found = nics_.find(nic);
  if (found == nics_.end()) return unknown_id();
  Prefilter& before = found->second.prefilter;
  const auto failed = on_all(
      [&](Worker& worker, std::size_t) { return worker.set_prefilter(nic, prefilter, drops_more); },
      [&](Worker& worker, std::size_t) { return worker.set_prefilter(nic, before, !drops_more); });
  if (failed) return failed;
  before = prefilter;
  return std::nullopt;
}

Result<NicCounters> Dataplane::nic_counters(Id nic) {
  const std::lock_guard lock(mutex_);
  auto result = sum<NicCounters>([&](Worker& worker) { return worker.nic_counters(nic); });
  if (auto* counters = std::get_if<NicCounters>(&result)) {
    const auto found = nics_.find(nic);
    const int unshared = found == nics_.end() ? 0 : found->second.unshared_ifindex;
    if (unshared != 0 && is_link_up(unshared)) counters->is_capture_stale = true;
  }
  return result;
}

Result<VirtualIpCounters> Dataplane::virtual_ip_counters(Id virtual_ip) {
  const std::lock_guard lock(mutex_);
  return sum<VirtualIpCounters>(
      [&](Worker& worker) { return worker.virtual_ip_counters(virtual_ip); });
}

}  // namespace clusterip
