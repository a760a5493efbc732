// The hash and the buckets against what a kernel computed.
#include <sys/stat.h>

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "test/kernel_way.h"
#include "test/packets.h"
#include "test/test.h"
#include "userspace/judge.h"
#include "verdict/hash.h"

namespace clusterip::test {
namespace {

// Port 40000 as it enters the hash.
constexpr std::uint32_t kPort40000 = 0x409c;
constexpr std::uint32_t kPort80 = 0x5000;

struct Vector {
  clusterip_rule rule{};
  std::uint8_t protocol = 0;
  std::uint32_t saddr_host = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  unsigned bucket = 0;
};

std::uint32_t number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc() && end == text.data() + text.size());
  return value;
}

std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view field = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return field;
}

std::uint8_t mode_of(std::string_view name) {
  if (name == "sourceip") return HASH_SOURCE_IP;
  if (name == "sourceip-sourceport") return HASH_SOURCE_IP_SOURCE_PORT;
  CHECK_EQUAL(name, std::string_view("sourceip-sourceport-destport"));
  return HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT;
}

std::uint8_t protocol_of(std::string_view name) {
  struct Named {
    std::string_view name;
    std::uint8_t number;
  };
  static constexpr std::array<Named, 10> kNamed = {{{"icmp", 1},
                                                    {"tcp", 6},
                                                    {"udp", 17},
                                                    {"dccp", 33},
                                                    {"gre", 47},
                                                    {"esp", 50},
                                                    {"ah", 51},
                                                    {"sctp", 132},
                                                    {"udplite", 136},
                                                    {"proto253", 253}}};
  for (const Named& named : kNamed) {
    if (named.name == name) return named.number;
  }
  check(false, __FILE__, __LINE__, "unknown protocol " + std::string(name));
  return 0;
}

std::uint32_t address_of(std::string_view text) {
  std::uint32_t address = 0;
  for (unsigned i = 0; i < 4; ++i) address = address << 8 | number(take_until(text, '.'));
  return address;
}

// hashmode,total_nodes,hash_init,proto,saddr,sport,dport,bucket
Vector read_vector(std::string_view line) {
  Vector vector;
  vector.rule.hash_mode = mode_of(take_until(line, ','));
  vector.rule.bucket_count = static_cast<std::uint8_t>(number(take_until(line, ',')));
  vector.rule.hash_init = number(take_until(line, ','));
  vector.protocol = protocol_of(take_until(line, ','));
  vector.saddr_host = address_of(take_until(line, ','));
  vector.source_port = static_cast<std::uint16_t>(number(take_until(line, ',')));
  vector.destination_port = static_cast<std::uint16_t>(number(take_until(line, ',')));
  vector.bucket = number(line);
  return vector;
}

Octets frame_of(const Vector& vector) {
  Octets ports;
  // ICMP is a request; AH has its SPI behind four other octets.
  if (vector.protocol == IPPROTO_ICMP) ports = {8, 0, 0, 0};
  if (vector.protocol == IPPROTO_AH) ports = {6, 4, 0, 0};
  put16(ports, vector.source_port);
  put16(ports, vector.destination_port);
  return ethernet(ipv4({.protocol = vector.protocol, .source = vector.saddr_host}, ports));
}

std::uint32_t word(std::uint16_t port) { return ((port & 0xffu) << 8) | (port >> 8); }

}  // namespace

TEST(hash_of_known_words) {
  const std::uint32_t address = 0xc0a80164;  // 192.168.1.100
  const clusterip_port_words ports{.source = kPort40000, .destination = kPort80};
  CHECK_EQUAL(clusterip_hash(address, ports, HASH_SOURCE_IP, 0), 0x8219bf47u);
  CHECK_EQUAL(clusterip_hash(address, ports, HASH_SOURCE_IP_SOURCE_PORT, 0), 0x59ebb66au);
  CHECK_EQUAL(clusterip_hash(address, ports, HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT, 0), 0xa2a301a7u);
}

TEST(buckets_divide_the_hash_evenly_and_not_by_modulo) {
  for (unsigned total = 1; total <= CLUSTERIP_MAX_BUCKETS; ++total) {
    const auto buckets = static_cast<std::uint8_t>(total);
    CHECK_EQUAL(clusterip_bucket_of_hash(0, buckets), 1u);
    CHECK_EQUAL(clusterip_bucket_of_hash(0xffffffff, buckets), total);
    for (unsigned bucket = 1; bucket < total; ++bucket) {
      // The first hash of the next bucket, and the one before it.
      const auto first =
          static_cast<std::uint32_t>(((std::uint64_t{bucket} << 32) + total - 1) / total);
      CHECK_EQUAL(clusterip_bucket_of_hash(first - 1, buckets), bucket);
      CHECK_EQUAL(clusterip_bucket_of_hash(first, buckets), bucket + 1);
    }
  }
}

TEST(ports_of_every_protocol) {
  unsigned with_ports = 0;
  for (unsigned protocol = 0; protocol < 256; ++protocol) {
    const int offset = clusterip_ports_offset(static_cast<std::uint8_t>(protocol));
    if (offset < 0) continue;
    ++with_ports;
    CHECK_EQUAL(offset, protocol == IPPROTO_AH ? 4 : 0);
  }
  CHECK_EQUAL(with_ports, 7u);
  for (const int protocol : {6, 17, 33, 50, 51, 132, 136}) {
    CHECK(clusterip_ports_offset(static_cast<std::uint8_t>(protocol)) >= 0);
  }
}

// 42,525 buckets that a kernel computed for real packets: by the function, and by judging a frame.
TEST(kernel_vectors) {
  std::string line;
  if (!std::getline(std::cin, line)) SKIP("no vectors on standard input");
  CHECK_EQUAL(line, "hashmode,total_nodes,hash_init,proto,saddr,sport,dport,bucket");
  unsigned count = 0;
  unsigned wrong = 0;
  while (std::getline(std::cin, line)) {
    const Vector vector = read_vector(line);
    ++count;
    clusterip_rule rule = vector.rule;
    rule.local_mask = 0xffff;
    const VirtualIp virtual_ip{.address_host = kVip, .rule = rule};
    VirtualIpTable table;
    table.assign({&virtual_ip, 1});
    const Judgement judgement = judge(frame_of(vector), PACKET_TYPE_MULTICAST, table);
    if (bucket_of_flow(rule, vector.protocol, vector.saddr_host, word(vector.source_port),
                       word(vector.destination_port)) != vector.bucket ||
        judgement.bucket != vector.bucket || judgement.reason != REASON_LOCAL_BUCKET) {
      if (++wrong <= 5) std::cout << "wrong bucket: " << line << "\n";
    }
  }
  CHECK_EQUAL(wrong, 0u);
  CHECK_EQUAL(count, 42525u);
}

}  // namespace clusterip::test
