#include "loader/dataplane.h"

#include <fcntl.h>

#include <algorithm>

#include "linux/settle.h"

namespace clusterip {
namespace {

Result<Program> copy_of(const Program& program) {
  Fd fd(::fcntl(program.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return last_error("dup");
  return Program{.fd = std::move(fd), .info = program.info};
}

bool same_program(const Program& a, const Program& b) noexcept {
  return a.info.tag == b.info.tag && a.info.map_ids == b.info.map_ids;
}

}  // namespace

std::optional<SysError> BpfDataplane::load() {
  auto loaded = load_object(object_path_, std::move(maps_));
  if (const auto* error = std::get_if<SysError>(&loaded)) return *error;
  loaded_ = std::get<LoadedObject>(std::move(loaded));
  maps_ = std::move(loaded_->maps);
  return std::nullopt;
}

Result<bool> BpfDataplane::prepare(int ifindex) {
  const std::lock_guard lock(mutex_);
  auto tc = find_tc(ifindex);
  if (const auto* error = std::get_if<SysError>(&tc)) return *error;
  auto xdp = find_xdp(ifindex);
  if (const auto* error = std::get_if<SysError>(&xdp)) return *error;
  if (loaded_) return false;
  // Either of the two knows the maps, should somebody have removed the other.
  const auto& found_tc = std::get<std::optional<TcAttachment>>(tc);
  const auto& found_xdp = std::get<XdpState>(xdp).ours;
  const ProgramInfo* known = found_tc    ? &found_tc->program.info
                             : found_xdp ? &found_xdp->program.info
                                         : nullptr;
  bool is_other_layout = false;
  if (known != nullptr) {
    auto maps = maps_of(*known);
    if (const auto* error = std::get_if<SysError>(&maps)) {
      // ENOENT: laid out in another way; those programs are replaced when ours are ready.
      if (error->error != ENOENT) return *error;
      is_other_layout = true;
    } else {
      maps_ = std::get<BpfMaps>(std::move(maps));
      adopted_ifindex_ = ifindex;
    }
  }
  if (const auto error = load()) return *error;
  return is_other_layout;
}

std::optional<SysError> BpfDataplane::attach_tc_program(int ifindex, TcWay way) {
  auto found = find_tc(ifindex);
  if (const auto* error = std::get_if<SysError>(&found)) return *error;
  tc_ = std::get<std::optional<TcAttachment>>(std::move(found));
  if (tc_ && same_program(tc_->program, loaded_->tc)) {
    const auto intact = tc_->is_intact();
    if (const auto* error = std::get_if<SysError>(&intact)) return *error;
    if (std::get<bool>(intact) || tc_->way != TcWay::kTcx) return std::nullopt;
    return move_tc_to_front(ifindex);
  }
  auto program = copy_of(loaded_->tc);
  if (const auto* error = std::get_if<SysError>(&program)) return *error;
  if (tc_) return tc_->replace(std::get<Program>(std::move(program)));
  auto attached = attach_tc(ifindex, std::get<Program>(std::move(program)), way);
  if (const auto* error = std::get_if<SysError>(&attached)) return *error;
  tc_ = std::get<TcAttachment>(std::move(attached));
  return std::nullopt;
}

// A program has one place in the list; so another copy of it, with the same maps, comes to the
// front before this one goes: at no moment does a frame pass unjudged.
std::optional<SysError> BpfDataplane::move_tc_to_front(int ifindex) {
  if (const auto error = load()) {
    auto maps = maps_of(tc_->program.info);
    if (auto* known = std::get_if<BpfMaps>(&maps)) maps_ = std::move(*known);
    return error;
  }
  auto program = copy_of(loaded_->tc);
  if (const auto* error = std::get_if<SysError>(&program)) return *error;
  auto attached = attach_tc(ifindex, std::get<Program>(std::move(program)), TcWay::kTcx);
  if (const auto* error = std::get_if<SysError>(&attached)) return *error;
  const TcAttachment behind = std::move(*tc_);
  tc_ = std::get<TcAttachment>(std::move(attached));
  return behind.detach();
}

// That it cannot be attached is no error of ours: the tc program does the work.
std::optional<SysError> BpfDataplane::attach_xdp_program(int ifindex, XdpMode mode) {
  auto found = find_xdp(ifindex);
  if (const auto* error = std::get_if<SysError>(&found)) return *error;
  auto& state = std::get<XdpState>(found);
  xdp_ = std::move(state.ours);
  xdp_other_id_ = state.other_id;
  xdp_error_ = 0;
  if (xdp_ && xdp_->mode != mode) {
    if (const auto error = xdp_->detach()) return error;
    xdp_.reset();
  }
  if (mode == XdpMode::kOff || (xdp_ && same_program(xdp_->program, loaded_->xdp))) {
    return std::nullopt;
  }
  auto program = copy_of(loaded_->xdp);
  if (const auto* error = std::get_if<SysError>(&program)) return *error;
  if (xdp_) return xdp_->replace(std::get<Program>(std::move(program)));
  if (xdp_other_id_ != 0) {
    xdp_error_ = EBUSY;
    return std::nullopt;
  }
  auto attached = attach_xdp(ifindex, std::get<Program>(std::move(program)), mode);
  if (const auto* error = std::get_if<SysError>(&attached)) {
    xdp_error_ = error->error;
  } else {
    xdp_ = std::get<XdpAttachment>(std::move(attached));
  }
  return std::nullopt;
}

std::optional<SysError> BpfDataplane::attach(int ifindex, const AttachOptions& options) {
  const std::lock_guard lock(mutex_);
  if (!loaded_) return SysError{.call = "attach", .error = EBADF};
  if (ifindex_ != 0 && ifindex_ != ifindex) {
    if (const auto error = detach_all()) return error;
  }
  const bool is_known_interface = ifindex == ifindex_ || ifindex == adopted_ifindex_;
  ifindex_ = ifindex;
  if (const auto error = subscribe_all(ifindex, is_known_interface)) return error;
  if (const auto error = attach_tc_program(ifindex, options.tc)) return error;
  return attach_xdp_program(ifindex, options.xdp);
}

std::optional<SysError> BpfDataplane::detach() {
  const std::lock_guard lock(mutex_);
  return detach_all();
}

std::optional<SysError> BpfDataplane::detach_all() {
  std::optional<SysError> first;
  const auto note = [&first](const std::optional<SysError>& error) {
    if (error && !is_interface_gone(*error) && error->error != ENOENT && !first) first = error;
  };
  if (xdp_) note(xdp_->detach());
  if (tc_) note(tc_->detach());
  if (ifindex_ != 0) {
    const auto entries = maps_.list();
    if (const auto* list = std::get_if<std::vector<BpfVirtualIp>>(&entries)) {
      for (const BpfVirtualIp& entry : *list) {
        if ((entry.settings.flags & VIRTUAL_IP_OWNS_MAC) == 0) continue;
        note(unsubscribe(ifindex_, mac_of(entry.settings)));
      }
    }
  }
  xdp_.reset();
  tc_.reset();
  ifindex_ = 0;
  adopted_ifindex_ = 0;
  return first;
}

std::optional<SysError> BpfDataplane::subscribe_entry(BpfVirtualIp& entry,
                                                      bool is_known_interface) const {
  const MacAddress mac = mac_of(entry.settings);
  const auto subscribed = is_subscribed(ifindex_, mac);
  if (const auto* error = std::get_if<SysError>(&subscribed)) return *error;
  const bool was_ours = is_known_interface && (entry.settings.flags & VIRTUAL_IP_OWNS_MAC) != 0;
  if (std::get<bool>(subscribed)) {
    // The administrator's own, or another virtual IP's with the same MAC: it is not ours to end.
    if (!was_ours) entry.settings.flags &= static_cast<__u8>(~VIRTUAL_IP_OWNS_MAC);
    return std::nullopt;
  }
  if (const auto error = subscribe(ifindex_, mac)) return error;
  entry.settings.flags |= VIRTUAL_IP_OWNS_MAC;
  return std::nullopt;
}

std::optional<SysError> BpfDataplane::subscribe_all(int ifindex, bool is_known_interface) {
  ifindex_ = ifindex;
  auto entries = maps_.list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  for (BpfVirtualIp& entry : std::get<std::vector<BpfVirtualIp>>(entries)) {
    const auto flags = entry.settings.flags;
    if (const auto error = subscribe_entry(entry, is_known_interface)) return error;
    if (entry.settings.flags == flags) continue;
    if (const auto error = maps_.write(entry)) return error;
  }
  return std::nullopt;
}

// Ends the subscription that came with the entry, unless another virtual IP needs it.
std::optional<SysError> BpfDataplane::release_mac(const BpfVirtualIp& gone) const {
  const int ifindex = judged_ifindex();
  if ((gone.settings.flags & VIRTUAL_IP_OWNS_MAC) == 0 || ifindex == 0) return std::nullopt;
  auto entries = maps_.list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  for (BpfVirtualIp& entry : std::get<std::vector<BpfVirtualIp>>(entries)) {
    if (entry.address_wire == gone.address_wire) continue;
    if (mac_of(entry.settings) != mac_of(gone.settings)) continue;
    entry.settings.flags |= VIRTUAL_IP_OWNS_MAC;
    return maps_.write(entry);
  }
  const auto error = unsubscribe(ifindex, mac_of(gone.settings));
  // Somebody else has removed it already, or the interface with it.
  if (error && (error->error == ENOENT || is_interface_gone(*error))) return std::nullopt;
  return error;
}

std::optional<SysError> BpfDataplane::set_virtual_ip(const BpfSettings& settings) {
  std::unique_lock lock(mutex_);
  const auto known = maps_.find(settings.address_wire);
  const auto* old = std::get_if<clusterip_virtual_ip>(&known);
  BpfVirtualIp entry{.address_wire = settings.address_wire, .settings = {}};
  if (old != nullptr) {
    entry.settings = *old;
  } else {
    const auto slot = maps_.begin_free_slot();
    if (const auto* error = std::get_if<SysError>(&slot)) return *error;
    entry.settings.slot = std::get<std::uint8_t>(slot);
  }
  entry.settings.rule = settings.rule;
  std::copy(settings.cluster_mac.begin(), settings.cluster_mac.end(), entry.settings.cluster_mac);
  const bool is_same_mac = old != nullptr && mac_of(*old) == settings.cluster_mac;
  if (!is_same_mac) {
    entry.settings.flags = 0;
    if (ifindex_ != 0) {
      if (const auto error = subscribe_entry(entry, false)) return error;
    }
  }
  const unsigned gained = settings.rule.local_mask & ~(old != nullptr ? old->rule.local_mask : 0u);
  if (gained != 0) settle_before_gain(lock);
  if (const auto error = maps_.write(entry)) return error;
  if (old == nullptr || is_same_mac) return std::nullopt;
  return release_mac({.address_wire = settings.address_wire, .settings = *old});
}

std::optional<SysError> BpfDataplane::set_local(in_addr_t address_wire, std::uint16_t local_mask) {
  std::unique_lock lock(mutex_);
  const auto known = maps_.find(address_wire);
  if (const auto* error = std::get_if<SysError>(&known)) return *error;
  BpfVirtualIp entry{.address_wire = address_wire,
                     .settings = std::get<clusterip_virtual_ip>(known)};
  const unsigned gained = local_mask & ~unsigned{entry.settings.rule.local_mask};
  if (gained != 0) settle_before_gain(lock);
  entry.settings.rule.local_mask = local_mask;
  return maps_.write(entry);
}

std::optional<SysError> BpfDataplane::remove_virtual_ip(in_addr_t address_wire) {
  const std::lock_guard lock(mutex_);
  const auto known = maps_.find(address_wire);
  if (std::holds_alternative<SysError>(known)) return std::nullopt;
  if (const auto error = maps_.erase(address_wire)) return error;
  return release_mac(
      {.address_wire = address_wire, .settings = std::get<clusterip_virtual_ip>(known)});
}

void BpfDataplane::settle_before_gain(std::unique_lock<std::mutex>& lock) const noexcept {
  if (judged_ifindex() == 0) return;
  lock.unlock();
  settle_received_frames();
  lock.lock();
}

Result<std::vector<BpfVirtualIp>> BpfDataplane::list() const {
  const std::lock_guard lock(mutex_);
  return maps_.list();
}

Result<clusterip_nic_counters> BpfDataplane::count_nic() const {
  const std::lock_guard lock(mutex_);
  return maps_.count_nic();
}

Result<clusterip_vip_counters> BpfDataplane::count_virtual_ip(in_addr_t address_wire) const {
  const std::lock_guard lock(mutex_);
  return maps_.count_virtual_ip(address_wire);
}

BpfAttachment BpfDataplane::attachment() const {
  const std::lock_guard lock(mutex_);
  return {.tc = tc_ ? std::optional(tc_->way) : std::nullopt,
          .tc_id = tc_ ? tc_->program.info.id : 0,
          .xdp = xdp_ ? xdp_->mode : XdpMode::kOff,
          .xdp_error = xdp_error_,
          .xdp_other_id = xdp_other_id_};
}

Result<bool> BpfDataplane::is_judging() const {
  const std::lock_guard lock(mutex_);
  return is_tc_judging();
}

Result<bool> BpfDataplane::is_tc_judging() const {
  if (!tc_) return false;
  return tc_->is_intact();
}

Result<bool> BpfDataplane::is_complete() const {
  const std::lock_guard lock(mutex_);
  const auto judging = is_tc_judging();
  if (std::holds_alternative<SysError>(judging) || !std::get<bool>(judging)) return judging;
  if (xdp_) {
    const auto xdp = find_xdp(ifindex_);
    if (const auto* error = std::get_if<SysError>(&xdp)) return *error;
    const auto& state = std::get<XdpState>(xdp);
    if (!state.ours || state.ours->program.info.id != xdp_->program.info.id) return false;
  }
  const auto entries = maps_.list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  for (const BpfVirtualIp& entry : std::get<std::vector<BpfVirtualIp>>(entries)) {
    const auto subscribed = is_subscribed(ifindex_, mac_of(entry.settings));
    if (std::holds_alternative<SysError>(subscribed) || !std::get<bool>(subscribed)) {
      return subscribed;
    }
  }
  return true;
}

}  // namespace clusterip
