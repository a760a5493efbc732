// The packet path of engine "bpf" on one interface: the programs of native/bpf, their maps,
// and the subscription to the cluster MACs. There is no thread and no packet here: the kernel
// does it all, and goes on doing it when this process has died.
//
// What lives in the kernel belongs to the interface: programs that are attached to it, the maps
// that they hold, subscriptions. The next life of the daemon asks the interface for them
// (prepare) and goes on with the same maps: there is no moment without a verdict, and counters
// go on. An interface that comes back as a new device gets the maps of the old one, which this
// process has kept.
//
//   prepare(ifindex)      maps: those found on the interface if they are laid out as ours, or those
//                         that we have, or new ones; programs loaded
//   set_virtual_ip ...    what they judge for
//   attach(ifindex)       in force: adopted, replaced or attached
//   detach()              nothing of ours is left on the interface
//
// Changes come one at a time, from whichever thread. What is read may be read on another one
// meanwhile, also while a change waits for what has arrived before it (linux/settle.h).
//
// The destructor leaves the kernel as it is.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "linux/multicast.h"
#include "linux/sys.h"
#include "loader/maps.h"
#include "loader/program.h"
#include "loader/tc.h"
#include "loader/xdp.h"

namespace clusterip {

struct BpfSettings {
  in_addr_t address_wire = 0;
  MacAddress cluster_mac{};
  clusterip_rule rule{};
};

struct AttachOptions {
  XdpMode xdp = XdpMode::kOff;
  TcWay tc = TcWay::kTcx;
};

// How the programs are attached.
struct BpfAttachment {
  std::optional<TcWay> tc;
  std::uint32_t tc_id = 0;  // 0 for none
  XdpMode xdp = XdpMode::kOff;
  // Why there is no XDP program although one was wanted: an errno and another one's id, or 0.
  int xdp_error = 0;
  std::uint32_t xdp_other_id = 0;
};

class BpfDataplane {
 public:
  explicit BpfDataplane(std::string object_path) : object_path_(std::move(object_path)) {}

  // True when it has found programs whose maps are laid out in another way: another version's.
  // Nothing is taken over from them, and attach() replaces them.
  Result<bool> prepare(int ifindex);
  std::optional<SysError> attach(int ifindex, const AttachOptions& options);
  // Also after the interface has gone, and when nothing is attached.
  std::optional<SysError> detach();

  // Adds it, or gives it other settings in one write; its counters go on.
  std::optional<SysError> set_virtual_ip(const BpfSettings& settings);
  std::optional<SysError> set_local(in_addr_t address_wire, std::uint16_t local_mask);
  std::optional<SysError> remove_virtual_ip(in_addr_t address_wire);

  // As of BpfMaps.
  [[nodiscard]] Result<std::vector<BpfVirtualIp>> list() const;
  [[nodiscard]] Result<clusterip_nic_counters> count_nic() const;
  [[nodiscard]] Result<clusterip_vip_counters> count_virtual_ip(in_addr_t address_wire) const;
  [[nodiscard]] BpfAttachment attachment() const;
  // Cheap, to be asked often.
  [[nodiscard]] Result<bool> is_judging() const;
  // The XDP program and the subscriptions too.
  [[nodiscard]] Result<bool> is_complete() const;

  // For tests, which run no change meanwhile; the programs once prepared.
  [[nodiscard]] const BpfMaps& maps() const noexcept { return maps_; }
  [[nodiscard]] const std::optional<LoadedObject>& loaded() const noexcept { return loaded_; }

 private:
  // All of these with the lock.
  std::optional<SysError> load();
  std::optional<SysError> detach_all();
  [[nodiscard]] Result<bool> is_tc_judging() const;
  std::optional<SysError> attach_tc_program(int ifindex, TcWay way);
  std::optional<SysError> move_tc_to_front(int ifindex);
  std::optional<SysError> attach_xdp_program(int ifindex, XdpMode mode);
  std::optional<SysError> subscribe_all(int ifindex, bool is_known_interface);
  std::optional<SysError> subscribe_entry(BpfVirtualIp& entry, bool is_known_interface) const;
  // To be called before buckets are gained; lets go of the lock while it waits.
  void settle_before_gain(std::unique_lock<std::mutex>& lock) const noexcept;
  [[nodiscard]] std::optional<SysError> release_mac(const BpfVirtualIp& gone) const;

  // Where a change of the maps is in force at once, 0 when nowhere: from prepare() on that is the
  // interface whose programs are adopted.
  [[nodiscard]] int judged_ifindex() const noexcept {
    return ifindex_ != 0 ? ifindex_ : adopted_ifindex_;
  }

  // What follows is written by a change that has it, and read by others that have it. A change that
  // waits lets it go meanwhile.
  mutable std::mutex mutex_;
  std::string object_path_;
  BpfMaps maps_;
  std::optional<LoadedObject> loaded_;
  int ifindex_ = 0;  // where attached
  std::optional<TcAttachment> tc_;
  std::optional<XdpAttachment> xdp_;
  int xdp_error_ = 0;
  std::uint32_t xdp_other_id_ = 0;
  // The interface held our programs before this process attached any.
  int adopted_ifindex_ = 0;
};

}  // namespace clusterip
