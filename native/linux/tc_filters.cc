#include "linux/tc_filters.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "linux/sys.h"

namespace clusterip {
namespace {

struct Request {
  nlmsghdr header{};
  tcmsg message{};
};

// Of one direction of the qdisc.
bool has_filters(const Fd& socket, int ifindex, std::uint32_t parent) noexcept {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETTFILTER;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message.tcm_family = AF_UNSPEC;
  request.message.tcm_ifindex = ifindex;
  request.message.tcm_parent = parent;
  if (::send(socket.get(), &request, sizeof request, 0) != sizeof request) return true;
  bool found = false;
  for (;;) {
    alignas(nlmsghdr) std::array<std::uint8_t, 32768> buffer{};
    const ssize_t received = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (received <= 0) return true;
    auto left = static_cast<std::size_t>(received);
    for (const auto* header = static_cast<const nlmsghdr*>(static_cast<const void*>(buffer.data()));
         NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return found;
      if (header->nlmsg_type == NLMSG_ERROR) return true;
      found = true;
    }
  }
}

}  // namespace

bool has_tc_filters(int ifindex) noexcept {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return true;
  return has_filters(socket, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) ||
         has_filters(socket, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
}

}  // namespace clusterip
