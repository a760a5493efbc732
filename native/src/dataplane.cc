#include "dataplane.h"

#include <utility>

namespace clusterip {

Result<std::unique_ptr<Dataplane>> Dataplane::start(const std::string& tun_name,
                                                    std::size_t workers) {
  if (workers < 1 || workers > kMaxWorkers) return SysError{.call = "workers", .error = EINVAL};
  auto tuns = Tun::open(tun_name, workers);
  if (const auto* error = std::get_if<SysError>(&tuns)) return *error;
  std::vector<std::unique_ptr<Worker>> started;
  for (Tun& tun : std::get<std::vector<Tun>>(tuns)) {
    const std::size_t index = started.size();
    const std::string name = "clusteripd-io" + (index == 0 ? "" : std::to_string(index));
    auto worker = Worker::start(std::move(tun), index == 0, name);
    if (const auto* error = std::get_if<SysError>(&worker)) return *error;
    started.push_back(std::get<std::unique_ptr<Worker>>(std::move(worker)));
  }
  return std::unique_ptr<Dataplane>(new Dataplane(std::move(started)));
}

template <typename Act>
std::optional<SysError> Dataplane::on_all(Act act) {
  const std::lock_guard lock(mutex_);
  for (const auto& worker : workers_) {
    if (const auto error = act(*worker)) return error;
  }
  return std::nullopt;
}

template <typename Counters, typename Read>
Result<Counters> Dataplane::sum(Read read) {
  Counters sum;
  const auto failed = on_all([&](Worker& worker) -> std::optional<SysError> {
    const Result<Counters> result = read(worker);
    if (const auto* error = std::get_if<SysError>(&result)) return *error;
    sum += std::get<Counters>(result);
    return std::nullopt;
  });
  if (failed) return *failed;
  return sum;
}

std::optional<SysError> Dataplane::reopen_tun(const std::string& tun_name) {
  auto tuns = Tun::open(tun_name, workers_.size());
  if (const auto* error = std::get_if<SysError>(&tuns)) return *error;
  auto next = std::get<std::vector<Tun>>(tuns).begin();
  return on_all([&](Worker& worker) { return worker.replace_tun(std::move(*next++)); });
}

Result<Dataplane::Id> Dataplane::add_nic() {
  Id id = 0;
  const auto failed = on_all([&](Worker& worker) {
    if (id == 0) id = next_id_++;
    return worker.add_nic(id);
  });
  if (failed) return *failed;
  return id;
}

std::optional<SysError> Dataplane::open_nic(Id nic, int ifindex) {
  // The old sockets first: with some of both no frame would have just one reader.
  if (const auto error = close_nic(nic)) return error;
  auto captures = Capture::open(ifindex, workers_.size());
  if (const auto* error = std::get_if<SysError>(&captures)) return *error;
  auto next = std::get<std::vector<Capture>>(captures).begin();
  return on_all([&](Worker& worker) { return worker.open_nic(nic, std::move(*next++)); });
}

std::optional<SysError> Dataplane::close_nic(Id nic) {
  return on_all([&](Worker& worker) { return worker.close_nic(nic); });
}

std::optional<SysError> Dataplane::remove_nic(Id nic) {
  return on_all([&](Worker& worker) { return worker.remove_nic(nic); });
}

Result<Dataplane::Id> Dataplane::add_virtual_ip(Id nic, const VirtualIpSettings& settings,
                                                const Prefilter& prefilter) {
  Id id = 0;
  const auto failed = on_all([&](Worker& worker) {
    if (id == 0) id = next_id_++;
    return worker.add_virtual_ip(id, nic, settings, prefilter);
  });
  if (failed) return *failed;
  return id;
}

std::optional<SysError> Dataplane::remove_virtual_ip(Id virtual_ip, const Prefilter& prefilter) {
  return on_all([&](Worker& worker) { return worker.remove_virtual_ip(virtual_ip, prefilter); });
}

std::optional<SysError> Dataplane::set_local(Id virtual_ip, std::uint16_t local_mask,
                                             const Prefilter& prefilter) {
  return on_all(
      [&](Worker& worker) { return worker.set_local(virtual_ip, local_mask, prefilter); });
}

std::optional<SysError> Dataplane::set_prefilter(Id nic, const Prefilter& prefilter,
                                                 bool drops_more) {
  return on_all([&](Worker& worker) { return worker.set_prefilter(nic, prefilter, drops_more); });
}

Result<NicCounters> Dataplane::nic_counters(Id nic) {
  return sum<NicCounters>([&](Worker& worker) { return worker.nic_counters(nic); });
}

Result<VirtualIpCounters> Dataplane::virtual_ip_counters(Id virtual_ip) {
  return sum<VirtualIpCounters>(
      [&](Worker& worker) { return worker.virtual_ip_counters(virtual_ip); });
}

}  // namespace clusterip
