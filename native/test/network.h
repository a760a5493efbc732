// A network namespace for one test, with a cable between a client and the node under test:
//
//     peer0 ──────────── nic0 · Dataplane · clusterip0
//     the test writes    the capture         the TUN, with the virtual IP; the test reads from
//     frames here        is here             a UDP socket or taps the device
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "linux/sys.h"
#include "test/packets.h"

namespace clusterip::test {

inline constexpr const char* kTunName = "clusterip0";

// Moves this thread into a new network namespace and lays the cable.
// Returns a sentence when that cannot be done here.
std::optional<std::string> enter_network();

// Sets both ends of the cable up, and waits until they carry frames: the kernel activates a device
// some time after its carrier has come, and loses without a word what is sent before
// (net/core/link_watch.c).
void raise_cable();

// Runs a command of iproute2; returns whether it succeeded.
bool ip(const std::string& arguments);

int index_of(const std::string& device);

// Gives the TUN the virtual IP, so that packets for it are taken.
void configure_tun();

// Frames that the device gets from the first CPU go through the backlog of the second one. Returns
// false when the kernel cannot do that.
bool receive_on_second_cpu(const std::string& device);

// While one lives, sockets join a PACKET_FANOUT group as before Linux 6.13: not while the link of
// their interface is down.
class OldFanout {
 public:
  OldFanout() noexcept;
  ~OldFanout();
  OldFanout(const OldFanout&) = delete;
  OldFanout& operator=(const OldFanout&) = delete;
};

void set_sysctl(const std::string& path, const std::string& value);  // path: below net/

// A raw socket on one device, to write frames and to see what passes.
class Port {
 public:
  explicit Port(const std::string& device);

  [[nodiscard]] bool send(std::span<const std::uint8_t> frame) const;
  // The next frame (on a TUN: the next packet) that came in; empty when none comes in time.
  [[nodiscard]] Octets receive(std::chrono::milliseconds timeout) const;

 private:
  Fd fd_;
};

// A UDP socket on the virtual IP.
class UdpServer {
 public:
  explicit UdpServer(std::uint16_t port);
  [[nodiscard]] Octets receive(std::chrono::milliseconds timeout) const;

 private:
  Fd fd_;
};

// Whether the NIC is subscribed to the link-layer address, given as the kernel writes it.
bool is_subscribed(const std::string& mac_digits);

}  // namespace clusterip::test
