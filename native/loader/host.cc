#include "loader/host.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "linux/multicast.h"
#include "loader/program.h"
#include "loader/tc.h"
#include "loader/xdp.h"

namespace clusterip {
namespace {

std::optional<SysError> end_subscriptions(int ifindex, const ProgramInfo& program) {
  const auto maps = maps_of(program);
  // Another version's: what it has subscribed to cannot be known.
  if (std::holds_alternative<SysError>(maps)) return std::nullopt;
  const auto entries = std::get<BpfMaps>(maps).list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  std::optional<SysError> first;
  for (const BpfVirtualIp& entry : std::get<std::vector<BpfVirtualIp>>(entries)) {
    if ((entry.settings.flags & VIRTUAL_IP_OWNS_MAC) == 0) continue;
    const auto error = unsubscribe(ifindex, mac_of(entry.settings));
    if (error && error->error != ENOENT && !is_interface_gone(*error) && !first) first = error;
  }
  return first;
}

}  // namespace

std::optional<SysError> probe_bpf(const std::string& object_path) {
  auto loaded = load_object(object_path, BpfMaps{});
  if (const auto* error = std::get_if<SysError>(&loaded)) return *error;
  auto& object = std::get<LoadedObject>(loaded);
  const auto found = open_program(object.tc.info.id);
  if (const auto* error = std::get_if<SysError>(&found)) return *error;
  const auto loopback = static_cast<int>(::if_nametoindex("lo"));
  if (loopback == 0) return last_error("if_nametoindex(lo)");
  const auto attached = attach_tc(loopback, std::move(object.tc), TcWay::kTcx);
  if (const auto* error = std::get_if<SysError>(&attached)) return *error;
  return std::get<TcAttachment>(attached).detach();
}

Result<bool> remove_programs(int ifindex) {
  const auto tc = find_tc(ifindex);
  if (const auto* error = std::get_if<SysError>(&tc)) {
    if (is_interface_gone(*error)) return false;
    return *error;
  }
  const auto xdp = find_xdp(ifindex);
  if (const auto* error = std::get_if<SysError>(&xdp)) {
    if (is_interface_gone(*error)) return false;
    return *error;
  }
  const auto& found_tc = std::get<std::optional<TcAttachment>>(tc);
  const auto& found_xdp = std::get<XdpState>(xdp).ours;
  if (!found_tc && !found_xdp) return false;
  const ProgramInfo& program = found_tc ? found_tc->program.info : found_xdp->program.info;
  std::optional<SysError> first = end_subscriptions(ifindex, program);
  const auto note = [&first](const std::optional<SysError>& error) {
    if (error && !is_interface_gone(*error) && !first) first = error;
  };
  if (found_xdp) note(found_xdp->detach());
  if (found_tc) note(found_tc->detach());
  // One that was on its way to the front when its daemon died is there twice.
  const auto copy = find_tc(ifindex);
  const auto* found_copy = std::get_if<std::optional<TcAttachment>>(&copy);
  if (!first && found_copy != nullptr && *found_copy) note((*found_copy)->detach());
  if (first) return *first;
  return true;
}

std::string driver_of(int ifindex) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (::if_indextoname(static_cast<unsigned>(ifindex), request.ifr_name) == nullptr) return {};
  ethtool_drvinfo information{};
  information.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = static_cast<char*>(static_cast<void*>(&information));
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) return {};
  return information.driver;
}

}  // namespace clusterip
