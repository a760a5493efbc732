// Writes the fuzzers' first corpus: realistic frames of every kind that the verdict tells apart,
// each with settings that let it get far. Run by scripts/dev/fuzz --seed.
//
//     seeds DIRECTORY     writes DIRECTORY/judge/*, DIRECTORY/places/*, DIRECTORY/table/*,
//     DIRECTORY/tun/*
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/input.h"
#include "test/packets.h"

namespace {

using namespace clusterip::test;

std::vector<std::pair<std::string, Octets>> frames() {
  const Octets answer = ipv4({.source = kVip, .destination = kClient}, udp(80, 40000));
  const Octets ports = udp(40000, 80, {1, 2, 3, 4});
  const Octets spi = {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1, 9, 9, 9, 9};
  const Octets ah = joined({Octets{6, 4, 0, 0}, spi});
  Octets options = {1, 1, 1, 0};
  std::vector<std::pair<std::string, Octets>> all = {
      {"udp", ethernet(ipv4({}, ports))},
      {"tcp", ethernet(ipv4({.protocol = IPPROTO_TCP}, tcp(40000, 80)))},
      {"tcp-options", ethernet(ipv4({.protocol = IPPROTO_TCP, .options = options}, tcp(1, 2)))},
      {"sctp", ethernet(ipv4({.protocol = IPPROTO_SCTP}, ports))},
      {"dccp", ethernet(ipv4({.protocol = IPPROTO_DCCP}, ports))},
      {"udplite", ethernet(ipv4({.protocol = IPPROTO_UDPLITE}, ports))},
      {"esp", ethernet(ipv4({.protocol = IPPROTO_ESP}, spi))},
      {"ah", ethernet(ipv4({.protocol = IPPROTO_AH}, ah))},
      {"gre", ethernet(ipv4({.protocol = IPPROTO_GRE}, {0, 0, 8, 0}))},
      {"padded", padded(ethernet(ipv4({}, ports)), 60)},
      {"first-fragment", ethernet(ipv4({.fragment = kMoreFragments}, ports))},
      {"later-fragment", ethernet(ipv4({.fragment = 185}, ports))},
      {"echo", ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(8, 0, {1, 2, 3, 4})))},
      {"timestamp", ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(13, 0)))},
      {"echo-reply", ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(0, 0)))},
      {"unreachable", ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(3, 4, answer)))},
      {"time-exceeded", ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(11, 0, answer)))},
      {"ports-cut", ethernet(ipv4({}, {1, 2, 3}))},
      {"icmp-cut", ethernet(ipv4({.protocol = IPPROTO_ICMP}, {8, 0, 0, 0, 1, 1, 1}))},
      {"vlan-0", tagged(ethernet(ipv4({}, ports)), 0)},
      {"vlan-7", tagged(ethernet(ipv4({}, ports)), 7)},
      {"two-tags", tagged(tagged(ethernet(ipv4({}, ports)), 0), 0, 0x88a8)},
      {"arp", padded(ethernet({0, 1, 8, 0, 6, 4, 0, 1}, 0x0806), 60)},
  };
  const auto inner = [&](std::string name, const Ipv4& header, const Octets& payload) {
    all.emplace_back(std::move(name),
                     ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(3, 3, ipv4(header, payload)))));
  };
  inner("inner-icmp", {.protocol = IPPROTO_ICMP, .source = kVip, .destination = kClient},
        icmp(0, 0));
  inner("inner-esp", {.protocol = IPPROTO_ESP, .source = kVip, .destination = kClient}, spi);
  inner("inner-other", {.source = kClient, .destination = kVip}, ports);
  inner("inner-fragment", {.source = kVip, .destination = kClient, .fragment = 3}, ports);
  inner("inner-options", {.source = kVip, .destination = kClient, .options = options}, ports);
  // One octet is missing.
  inner("inner-ports-cut", {.source = kVip, .destination = kClient}, {0, 80, 1});
  return all;
}

Octets settings(unsigned type, unsigned count, unsigned mode) {
  Octets octets = {static_cast<std::uint8_t>(type | clusterip::fuzz::kFrameToFirst | (count << 4))};
  for (unsigned i = 0; i < count; ++i) {
    put32(octets, kVip + i);
    octets.push_back(static_cast<std::uint8_t>(mode));
    octets.push_back(static_cast<std::uint8_t>(2 + i));
    put32(octets, 0x5eed * i);
    put16(octets, 0x5555);
  }
  return octets;
}

void write(const std::string& file, const Octets& octets) {
  std::ofstream stream(file, std::ios::binary);
  for (const std::uint8_t octet : octets) stream.put(static_cast<char>(octet));
  if (!stream) std::fprintf(stderr, "cannot write %s\n", file.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  if (arguments.size() != 2) return 2;
  const std::string directory = arguments[1] + "/";
  // GSO and an unfinished checksum; only the latter; neither.
  const std::vector<Octets> vnet_headers = {
      {1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0}, {1, 0, 0, 0, 0, 0, 34, 0, 6, 0}, Octets(10, 0)};
  unsigned number = 0;
  for (const auto& [name, frame] : frames()) {
    const Octets scene = joined({settings(number % 3, 1 + number % 3, (number / 3) % 3), frame});
    write(std::string(directory).append("judge/").append(name), scene);
    write(std::string(directory).append("tun/").append(name),
          joined({vnet_headers[number % 3], scene}));
    ++number;
  }
  write(directory + "judge/other-host", joined({settings(3, 1, 1), frames()[0].second}));
  write(directory + "judge/empty", {});
  write(directory + "places/one", {0, 0, 1});
  write(directory + "places/comes-and-goes", {0, 0, 1, 0, 1, 2, 1, 0, 0, 2, 3, 1, 1, 1, 1});
  write(directory + "places/next-home", {0, 0, 1, 0, 1, 2, 2, 0, 3, 1, 0, 2, 0, 3});
  write(directory + "table/one", {1, 0, 10, 77, 0, 100, 0});
  write(directory + "table/network", {6, 0, 10, 77, 0, 0, 1, 2, 3, 4, 5, 6});
  write(directory + "table/high-bits", {6, 24, 0, 0, 0, 100, 1, 2, 3, 4, 5, 6});
  write(directory + "table/double", {3, 0, 10, 77, 0, 100, 1, 1, 1});
  write(directory + "table/replaced", {2, 8, 10, 0, 0, 1, 1, 2, 1, 8, 10, 0, 0, 1, 2});
  return 0;
}
