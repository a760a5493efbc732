// The hash and the buckets against what a kernel computed.
#include "bucket.h"

#include <sys/stat.h>

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "packets.h"
#include "test.h"
#include "verdict.h"

namespace clusterip::test {
namespace {

// Port 40000 as it enters the hash.
constexpr std::uint32_t kPort40000 = 0x409c;
constexpr std::uint32_t kPort80 = 0x5000;

struct Vector {
  HashSettings settings;
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

HashMode mode_of(std::string_view name) {
  if (name == "sourceip") return HashMode::kSourceIp;
  if (name == "sourceip-sourceport") return HashMode::kSourceIpSourcePort;
  CHECK_EQUAL(name, std::string_view("sourceip-sourceport-destport"));
  return HashMode::kSourceIpSourcePortDestPort;
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
  vector.settings.mode = mode_of(take_until(line, ','));
  vector.settings.total_nodes = static_cast<std::uint8_t>(number(take_until(line, ',')));
  vector.settings.hash_init = number(take_until(line, ','));
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
  CHECK_EQUAL(jhash_1word(address, 0), 0x8219bf47u);
  CHECK_EQUAL(jhash_2words(address, kPort40000, 0), 0x59ebb66au);
  CHECK_EQUAL(jhash_3words(address, kPort40000, kPort80, 0), 0xa2a301a7u);
}

TEST(hash_uses_as_many_ports_as_the_mode_says) {
  const PortWords ports{.source = kPort40000, .destination = kPort80};
  const auto hash = [&](HashMode mode) { return flow_hash(0xc0a80164, ports, mode, 0); };
  CHECK_EQUAL(hash(HashMode::kSourceIp), 0x8219bf47u);
  CHECK_EQUAL(hash(HashMode::kSourceIpSourcePort), 0x59ebb66au);
  CHECK_EQUAL(hash(HashMode::kSourceIpSourcePortDestPort), 0xa2a301a7u);
}

TEST(buckets_divide_the_hash_evenly_and_not_by_modulo) {
  for (unsigned total = 1; total <= kMaxNodes; ++total) {
    const auto nodes = static_cast<std::uint8_t>(total);
    CHECK_EQUAL(bucket_of_hash(0, nodes), 1u);
    CHECK_EQUAL(bucket_of_hash(0xffffffff, nodes), total);
    for (unsigned bucket = 1; bucket < total; ++bucket) {
      // The first hash of the next bucket, and the one before it.
      const auto first =
          static_cast<std::uint32_t>(((std::uint64_t{bucket} << 32) + total - 1) / total);
      CHECK_EQUAL(bucket_of_hash(first - 1, nodes), bucket);
      CHECK_EQUAL(bucket_of_hash(first, nodes), bucket + 1);
    }
  }
}

TEST(ports_of_every_protocol) {
  unsigned with_ports = 0;
  for (unsigned protocol = 0; protocol < 256; ++protocol) {
    const auto offset = ports_offset(static_cast<std::uint8_t>(protocol));
    if (!offset) continue;
    ++with_ports;
    CHECK_EQUAL(*offset, protocol == IPPROTO_AH ? 4u : 0u);
  }
  CHECK_EQUAL(with_ports, 7u);
  for (const int protocol : {6, 17, 33, 50, 51, 132, 136}) {
    CHECK(ports_offset(static_cast<std::uint8_t>(protocol)).has_value());
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
    const bool has_ports = ports_offset(vector.protocol).has_value();
    const PortWords ports = has_ports ? PortWords{.source = word(vector.source_port),
                                                  .destination = word(vector.destination_port)}
                                      : PortWords{};
    const VirtualIp virtual_ip{.address_host = kVip, .hash = vector.settings, .local_mask = 0xffff};
    VirtualIpTable table;
    table.assign({&virtual_ip, 1});
    const Judgement judgement = judge(frame_of(vector), PacketType::kMulticast, table);
    if (bucket_of(vector.saddr_host, ports, vector.settings) != vector.bucket ||
        judgement.bucket != vector.bucket || judgement.reason != Reason::kLocalBucket) {
      if (++wrong <= 5) std::cout << "wrong bucket: " << line << "\n";
    }
  }
  CHECK_EQUAL(wrong, 0u);
  CHECK_EQUAL(count, 42525u);
}

}  // namespace clusterip::test
