// From a flow to its bucket: clusterip_hashfn of ipt_CLUSTERIP.c (kernel 5.10).
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>

#include "jhash.h"

namespace clusterip {

// CLUSTERIP_MAX_NODES of ipt_CLUSTERIP.h.
inline constexpr unsigned kMaxNodes = 16;

// The value is the number of port words that enter the hash; src/native.ts passes the same.
enum class HashMode : std::uint8_t {
  kSourceIp = 0,
  kSourceIpSourcePort = 1,
  kSourceIpSourcePortDestPort = 2,
};

struct HashSettings {
  HashMode mode = HashMode::kSourceIpSourcePort;
  std::uint8_t total_nodes = 1;
  std::uint32_t hash_init = 0;
};

// Where a protocol has its two port words, in octets from the start of its header:
// the kernel's proto_ports_offset. ESP and AH have the halves of the SPI there.
constexpr std::optional<unsigned> ports_offset(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_DCCP:
    case IPPROTO_ESP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
      return 0;
    case IPPROTO_AH:
      return 4;
    default:
      return std::nullopt;
  }
}

// The port words are the two octets on the wire, read little-endian: port 40000 (0x9c40 on
// the wire) enters as 0x409c.
struct PortWords {
  std::uint32_t source = 0;
  std::uint32_t destination = 0;
};

constexpr std::uint32_t flow_hash(std::uint32_t saddr_host, PortWords ports, HashMode mode,
                                  std::uint32_t hash_init) noexcept {
  switch (mode) {
    case HashMode::kSourceIp:
      return jhash_1word(saddr_host, hash_init);
    case HashMode::kSourceIpSourcePort:
      return jhash_2words(saddr_host, ports.source, hash_init);
    case HashMode::kSourceIpSourcePortDestPort:
      break;
  }
  return jhash_3words(saddr_host, ports.source, ports.destination, hash_init);
}

// reciprocal_scale(hash, total_nodes) + 1: the buckets 1 to total_nodes. Not a modulo.
constexpr std::uint8_t bucket_of_hash(std::uint32_t hash, std::uint8_t total_nodes) noexcept {
  return static_cast<std::uint8_t>(((std::uint64_t{hash} * total_nodes) >> 32) + 1);
}

constexpr std::uint8_t bucket_of(std::uint32_t saddr_host, PortWords ports,
                                 const HashSettings& settings) noexcept {
  return bucket_of_hash(flow_hash(saddr_host, ports, settings.mode, settings.hash_init),
                        settings.total_nodes);
}

}  // namespace clusterip
