#include "linux/multicast.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace clusterip {
namespace {

std::optional<SysError> change(int ifindex, const MacAddress& mac, unsigned long request,
                               const char* call) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return last_error("socket");
  ifreq argument{};
  if (::if_indextoname(static_cast<unsigned>(ifindex), argument.ifr_name) == nullptr) {
    return last_error("if_indextoname");
  }
  argument.ifr_hwaddr.sa_family = AF_UNSPEC;
  std::copy(mac.begin(), mac.end(), argument.ifr_hwaddr.sa_data);
  if (::ioctl(socket.get(), request, &argument) != 0) return last_error(call);
  return std::nullopt;
}

std::string hexadecimal(const MacAddress& mac) {
  std::string text;
  for (const std::uint8_t octet : mac) {
    std::array<char, 3> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%02x", octet);
    text += digits.data();
  }
  return text;
}

}  // namespace

Result<bool> is_subscribed(int ifindex, const MacAddress& mac) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(static_cast<unsigned>(ifindex), name.data()) == nullptr) {
    return last_error("if_indextoname");
  }
  // index, name, users, users like us (0 or 1), address
  std::ifstream file("/proc/net/dev_mcast");
  if (!file) return last_error("open(/proc/net/dev_mcast)");
  const std::string wanted = hexadecimal(mac);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    int index = 0;
    int users = 0;
    int global = 0;
    std::string device;
    std::string address;
    fields >> index >> device >> users >> global >> address;
    if (index == ifindex && address == wanted) return global != 0;
  }
  return false;
}

std::optional<SysError> subscribe(int ifindex, const MacAddress& mac) {
  return change(ifindex, mac, SIOCADDMULTI, "SIOCADDMULTI");
}

std::optional<SysError> unsubscribe(int ifindex, const MacAddress& mac) {
  return change(ifindex, mac, SIOCDELMULTI, "SIOCDELMULTI");
}

}  // namespace clusterip
