// IPv4 packets and Ethernet frames for tests and for the fuzzers' seeds, field by field. Everything
// is valid unless a test breaks it.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace clusterip::test {

using Octets = std::vector<std::uint8_t>;

inline constexpr std::uint32_t kVip = 0x0a4d0064;     // 10.77.0.100
inline constexpr std::uint32_t kClient = 0x0a4d00c9;  // 10.77.0.201
inline constexpr std::size_t kEthernetHeader = 14;

inline void put16(Octets& octets, std::uint32_t value) {
  octets.push_back(static_cast<std::uint8_t>(value >> 8));
  octets.push_back(static_cast<std::uint8_t>(value));
}

inline void put32(Octets& octets, std::uint32_t value) {
  put16(octets, value >> 16);
  put16(octets, value & 0xffff);
}

inline void set16(Octets& octets, std::size_t at, std::uint32_t value) {
  octets.at(at) = static_cast<std::uint8_t>(value >> 8);
  octets.at(at + 1) = static_cast<std::uint8_t>(value);
}

inline Octets joined(std::initializer_list<std::span<const std::uint8_t>> parts) {
  Octets all;
  for (const auto part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// RFC 1071.
inline std::uint16_t internet_checksum(std::span<const std::uint8_t> octets) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < octets.size(); i += 2) {
    const std::uint32_t low = i + 1 < octets.size() ? octets[i + 1] : 0u;
    sum += (std::uint32_t{octets[i]} << 8) | low;
  }
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct Ipv4 {
  std::uint8_t protocol = IPPROTO_UDP;
  std::uint32_t source = kClient;
  std::uint32_t destination = kVip;
  std::uint16_t fragment = 0;  // flags and offset, as in the header
  Octets options = {};         // a multiple of 4 octets
};

inline constexpr std::uint16_t kMoreFragments = 0x2000;

inline Octets ipv4(const Ipv4& header, const Octets& payload) {
  const std::size_t header_length = 20 + header.options.size();
  Octets packet;
  packet.push_back(static_cast<std::uint8_t>(0x40 | (header_length / 4)));
  packet.push_back(0);  // type of service
  put16(packet, static_cast<std::uint32_t>(header_length + payload.size()));
  put16(packet, 0x1234);  // identification
  put16(packet, header.fragment);
  packet.push_back(64);  // time to live
  packet.push_back(header.protocol);
  put16(packet, 0);
  put32(packet, header.source);
  put32(packet, header.destination);
  packet.insert(packet.end(), header.options.begin(), header.options.end());
  set16(packet, 10, internet_checksum(packet));
  return joined({packet, payload});
}

// Without a checksum, which UDP over IPv4 allows.
inline Octets udp(std::uint16_t source_port, std::uint16_t destination_port,
                  const Octets& data = {}) {
  Octets datagram;
  put16(datagram, source_port);
  put16(datagram, destination_port);
  put16(datagram, static_cast<std::uint32_t>(8 + data.size()));
  put16(datagram, 0);
  return joined({datagram, data});
}

// A SYN; its checksum is left unfinished.
inline Octets tcp(std::uint16_t source_port, std::uint16_t destination_port) {
  Octets segment;
  put16(segment, source_port);
  put16(segment, destination_port);
  put32(segment, 1);
  put32(segment, 0);
  put16(segment, 0x5002);  // 20 octets, SYN
  put16(segment, 64240);
  put32(segment, 0);
  return segment;
}

inline Octets icmp(std::uint8_t type, std::uint8_t code, const Octets& data = {}) {
  Octets message = {type, code, 0, 0, 0, 1, 0, 1};
  message.insert(message.end(), data.begin(), data.end());
  set16(message, 2, internet_checksum(message));
  return message;
}

inline Octets ethernet(const Octets& payload, std::uint16_t ether_type = 0x0800) {
  Octets frame = {0xd1, 0xd8, 0x5a, 0xcc, 0xcc, 0x21, 0x02, 0x77, 0x00, 0x00, 0x02, 0x01};
  put16(frame, ether_type);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// Puts a tag behind the two addresses.
inline Octets tagged(const Octets& frame, std::uint16_t tag_control,
                     std::uint16_t ether_type = 0x8100) {
  const std::span<const std::uint8_t> whole(frame);
  Octets tag;
  put16(tag, ether_type);
  put16(tag, tag_control);
  return joined({whole.first(12), tag, whole.subspan(12)});
}

inline Octets padded(Octets frame, std::size_t size) {
  if (frame.size() < size) frame.resize(size, 0);
  return frame;
}

}  // namespace clusterip::test
