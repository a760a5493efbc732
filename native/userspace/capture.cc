#include "userspace/capture.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

// Linux 4.20; missing in the headers of some distributions that run newer kernels.
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

namespace clusterip {
namespace {

// What waits while the worker is busy. Of merged frames (64 KiB each) this holds about a hundred.
constexpr int kReceiveBuffer = 8 * 1024 * 1024;
// No skb is accounted with less: its struct and the smallest data area.
constexpr std::size_t kSmallestTruesize = 512;

// PACKET_FANOUT_FLAG_IGNORE_OUTGOING, Linux 5.11; under a name of ours, for the same reason.
constexpr int kFanoutIgnoreOutgoing = 0x4000;
// RET 0: the number of octets to pass.
constexpr sock_filter kDropAll{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};

bool set_option(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace

bool is_link_up(int ifindex) noexcept {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (::if_indextoname(static_cast<unsigned>(ifindex), request.ifr_name) == nullptr) return false;
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return false;
  return (request.ifr_flags & IFF_UP) != 0;
}

void FrameBatch::Unmap::operator()(std::uint8_t* memory) const noexcept {
  ::munmap(memory, kFrames * kBuffer);
}

FrameBatch::FrameBatch()
    : messages_(kFrames), vectors_(kFrames), senders_(kFrames), controls_(kFrames) {
  void* memory = ::mmap(nullptr, kFrames * kBuffer, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();  // 4 MiB of address space: nothing would work
  memory_.reset(static_cast<std::uint8_t*>(memory));
  for (std::size_t i = 0; i < kFrames; ++i) {
    vectors_[i] = {.iov_base = memory_.get() + i * kBuffer, .iov_len = kVnetHeader + kMaxFrame};
    msghdr& header = messages_[i].msg_hdr;
    header = {};
    header.msg_name = &senders_[i];
    header.msg_namelen = sizeof senders_[i];
    header.msg_iov = &vectors_[i];
    header.msg_iovlen = 1;
    header.msg_control = &controls_[i];
    header.msg_controllen = sizeof controls_[i];
  }
}

std::size_t FrameBatch::receive(int socket_fd) noexcept {
  const int result = ::recvmmsg(socket_fd, messages_.data(), limit_, MSG_DONTWAIT, nullptr);
  const std::size_t count = result > 0 ? static_cast<std::size_t>(result) : 0;
  std::size_t octets = 0;
  for (std::size_t i = 0; i < count; ++i) octets += messages_[i].msg_len;
  if (count > 0) limit_ = octets > count * kMergedFrame ? kMergedFrames : kFrames;
  return count;
}

CapturedFrame FrameBatch::at(std::size_t index) noexcept {
  mmsghdr& message = messages_[index];
  std::uint8_t* buffer = memory_.get() + index * kBuffer;
  CapturedFrame captured;
  if (message.msg_len >= kVnetHeader) {
    captured.frame = {buffer + kVnetHeader, message.msg_len - kVnetHeader};
  }
  captured.is_outgoing = senders_[index].sll_pkttype == PACKET_OUTGOING;
  captured.packet_type = senders_[index].sll_pkttype;
  captured.truncated = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message.msg_hdr); control != nullptr;
       control = CMSG_NXTHDR(&message.msg_hdr, control)) {
    if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata auxdata{};
    std::memcpy(&auxdata, CMSG_DATA(control), sizeof auxdata);
    captured.has_vlan_tag = (auxdata.tp_status & TP_STATUS_VLAN_VALID) != 0;
    captured.vlan_tci = auxdata.tp_vlan_tci;
  }
  // recvmmsg wrote the lengths of what it put there; the next call needs the room again.
  message.msg_hdr.msg_namelen = sizeof senders_[index];
  message.msg_hdr.msg_controllen = sizeof controls_[index];
  return captured;
}

Result<Capture> Capture::open_one(int ifindex, bool is_shared) noexcept {
  // Protocol 0: nothing is received until bind, when all options are set.
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return last_error("socket(AF_PACKET)");
  if (!set_option(fd.get(), SOL_PACKET, PACKET_VNET_HDR, 1)) return last_error("PACKET_VNET_HDR");
  if (!set_option(fd.get(), SOL_PACKET, PACKET_AUXDATA, 1)) return last_error("PACKET_AUXDATA");
  if (!set_option(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) {
    return last_error("PACKET_IGNORE_OUTGOING");
  }
  // In a user namespace only the bounded form is allowed; the result is a smaller buffer.
  if (!set_option(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer)) {
    (void)set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  }
  Capture capture(std::move(fd), ifindex);
  // Alone it only saves a moment of unfiltered frames; before a group is complete it is needed.
  if (!capture.set_filter({&kDropAll, 1}) && is_shared) return last_error("SO_ATTACH_FILTER");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  // ETH_P_ALL taps see a frame before the guard (nft ingress) drops it; others do not.
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = ifindex;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  if (::bind(capture.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_error("bind(AF_PACKET)");
  }
  return capture;
}

std::optional<SysError> Capture::share(std::span<const Capture> captures) noexcept {
  int group = 0;
  for (const Capture& capture : captures) {
    const bool is_first = &capture == captures.data();
    const int type = PACKET_FANOUT_CPU | (is_first ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
    // The first one lets the kernel choose the number of the group, the others name it.
    const auto join = [&](int flags) {
      return set_option(capture.fd(), SOL_PACKET, PACKET_FANOUT, group | ((type | flags) << 16));
    };
    // Before Linux 5.11 a group also gets outgoing frames; process_frame() leaves those alone.
    if (!join(kFanoutIgnoreOutgoing) && !join(0)) return last_error("PACKET_FANOUT");
    socklen_t length = sizeof group;
    if (is_first && ::getsockopt(capture.fd(), SOL_PACKET, PACKET_FANOUT, &group, &length) != 0) {
      return last_error("PACKET_FANOUT");
    }
    group &= 0xffff;
  }
  return std::nullopt;
}

Result<std::vector<Capture>> Capture::open(int ifindex, std::size_t sockets) {
  std::vector<Capture> captures;
  for (std::size_t i = 0; i < sockets; ++i) {
    auto opened = open_one(ifindex, sockets > 1);
    if (const auto* error = std::get_if<SysError>(&opened)) return *error;
    captures.push_back(std::get<Capture>(std::move(opened)));
  }
  if (sockets > 1) {
    if (const auto error = share(captures)) {
      // Before Linux 6.13 no socket can join a group while the link is down.
      if (error->error != EINVAL || is_link_up(ifindex)) return *error;
      captures.erase(captures.begin() + 1, captures.end());
    }
  }
  return captures;
}

bool Capture::set_filter(std::span<const sock_filter> filter) const noexcept {
  if (filter.empty()) {
    clear_filter();
    return true;
  }
  // The kernel copies the program and does not write to it, whatever the type says.
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
                           .filter = const_cast<sock_filter*>(filter.data())};
  return ::setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void Capture::clear_filter() const noexcept {
  (void)set_option(fd_.get(), SOL_SOCKET, SO_DETACH_FILTER, 0);  // fails when there was none
}

bool Capture::is_bound() const noexcept {
  sockaddr_ll address{};
  socklen_t length = sizeof address;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return true;
  return address.sll_ifindex == ifindex_;
}

bool Capture::membership(int option, const MacAddress& mac) const noexcept {
  packet_mreq request{};
  request.mr_ifindex = ifindex_;
  request.mr_type = PACKET_MR_MULTICAST;
  request.mr_alen = static_cast<unsigned short>(mac.size());
  std::copy(mac.begin(), mac.end(), request.mr_address);
  return ::setsockopt(fd_.get(), SOL_PACKET, option, &request, sizeof request) == 0;
}

bool Capture::join(const MacAddress& mac) const noexcept {
  return membership(PACKET_ADD_MEMBERSHIP, mac);
}

bool Capture::leave(const MacAddress& mac) const noexcept {
  return membership(PACKET_DROP_MEMBERSHIP, mac);
}

std::uint64_t Capture::take_drops() const noexcept {
  tpacket_stats statistics{};
  socklen_t length = sizeof statistics;
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) != 0) return 0;
  return statistics.tp_drops;
}

std::size_t Capture::pending_bound() const noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t length = sizeof memory;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, memory.data(), &length) != 0) return 0;
  return memory[SK_MEMINFO_RMEM_ALLOC] / kSmallestTruesize + 1;
}

}  // namespace clusterip
