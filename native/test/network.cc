#include "test/network.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "test/require.h"

namespace clusterip::test {
namespace {

Octets receive_from(int fd, std::chrono::milliseconds timeout) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(timeout.count())) != 1) return {};
  Octets octets(70000);
  const ssize_t size = ::recv(fd, octets.data(), octets.size(), 0);
  octets.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return octets;
}

std::atomic<bool>& is_fanout_old() {
  static std::atomic<bool> is_old = false;
  return is_old;
}

bool is_link_of_down(int socket) {
  sockaddr_ll address{};
  socklen_t length = sizeof address;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  ifreq request{};
  REQUIRE(::if_indextoname(static_cast<unsigned>(address.sll_ifindex), request.ifr_name));
  REQUIRE(::ioctl(socket, SIOCGIFFLAGS, &request) == 0);
  return (request.ifr_flags & IFF_UP) == 0;
}

bool run(const std::string& command) {
  // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): the commands are our own
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}

}  // namespace

OldFanout::OldFanout() noexcept { is_fanout_old() = true; }
OldFanout::~OldFanout() { is_fanout_old() = false; }

void set_sysctl(const std::string& path, const std::string& value) {
  std::ofstream("/proc/sys/net/" + path) << value;
}

bool ip(const std::string& arguments) { return run("ip " + arguments); }

int index_of(const std::string& device) {
  return static_cast<int>(::if_nametoindex(device.c_str()));
}

std::optional<std::string> enter_network() {
  if (::geteuid() != 0) return "needs root";
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "needs /dev/net/tun";
  if (::unshare(CLONE_NEWNET) != 0) return "needs network namespaces";
  // Not a word from the namespace's own stack between the frames of a test.
  set_sysctl("ipv6/conf/all/disable_ipv6", "1");
  set_sysctl("ipv6/conf/default/disable_ipv6", "1");
  set_sysctl("ipv4/conf/all/rp_filter", "0");
  set_sysctl("ipv4/conf/default/rp_filter", "0");
  if (!ip("link add nic0 type veth peer name peer0")) return "needs iproute2 and veth";
  // The guard: without it the kernel's own stack would answer on nic0, for every bucket.
  if (!run("nft 'table netdev guard { chain guard { "
           "type filter hook ingress device \"nic0\" priority -500; ip daddr 10.77.0.100 drop; }; "
           "}'")) {
    return "needs nftables";
  }
  raise_cable();
  return std::nullopt;
}

void raise_cable() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const char* const end : {"nic0", "peer0"}) {
    REQUIRE(ip("link set " + std::string(end) + " arp off up"));
  }
  for (const char* const end : {"nic0", "peer0"}) {
    ifreq request{};
    std::strncpy(static_cast<char*>(request.ifr_name), end, IFNAMSIZ - 1);
    for (int tries = 0;; ++tries) {
      REQUIRE(tries < 6000);
      REQUIRE(::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0);
      if ((request.ifr_flags & IFF_RUNNING) != 0) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    // Behind the kernel's own lock: what it does after the flag is done.
    REQUIRE(ip("link show dev " + std::string(end) + " >/dev/null"));
  }
}

void configure_tun() {
  REQUIRE(ip(std::string("address add 10.77.0.100/32 dev ") + kTunName));
  REQUIRE(ip(std::string("link set ") + kTunName + " up"));

  REQUIRE(ip(std::string("route add default dev ") + kTunName));
}

bool receive_on_second_cpu(const std::string& device) {
  // The /sys of this network namespace.
  return run("unshare --mount sh -c 'mount -t sysfs none /sys && echo 2 >/sys/class/net/" + device +
             "/queues/rx-0/rps_cpus'");
}

Port::Port(const std::string& device)
    : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  REQUIRE(fd_);
  const int on = 1;
  REQUIRE(::setsockopt(fd_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = index_of(device);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

bool Port::send(std::span<const std::uint8_t> frame) const {
  return ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

Octets Port::receive(std::chrono::milliseconds timeout) const {
  return receive_from(fd_.get(), timeout);
}

UdpServer::UdpServer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  REQUIRE(fd_);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(kVip);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

Octets UdpServer::receive(std::chrono::milliseconds timeout) const {
  return receive_from(fd_.get(), timeout);
}

bool is_subscribed(const std::string& mac_digits) {
  std::ifstream list("/proc/net/dev_mcast");
  std::string line;
  while (std::getline(list, line)) {
    if (line.find("nic0") != std::string::npos && line.find(mac_digits) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace clusterip::test

// In place of the C library's: what an older kernel refuses.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): its names are reserved ones
extern "C" int setsockopt(int socket, int level, int option, const void* value,
                          socklen_t length) noexcept {
  using namespace clusterip::test;
  if (is_fanout_old() && level == SOL_PACKET && option == PACKET_FANOUT &&
      is_link_of_down(socket)) {
    errno = EINVAL;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_setsockopt, socket, level, option, value, length));
}
