// VirtualIpTable against std::unordered_map: any addresses, assigned again and again.
//
// The input is a sequence of rounds: 1 octet number of virtual IPs, 1 octet step, 4 octets first
// address, then as many addresses of 1 octet each: first + octet * 2^step. So a few octets make
// dense networks as well as addresses that differ in their high bits only.
#include <unordered_map>

#include "fuzz/input.h"
#include "test/require.h"

namespace {

using clusterip::VirtualIp;
using clusterip::VirtualIpTable;

std::vector<VirtualIp> read_round(clusterip::fuzz::Input& input) {
  std::vector<VirtualIp> virtual_ips(input.u8());
  const unsigned step = input.u8() % 32;
  const std::uint32_t first = input.u32();
  for (std::size_t i = 0; i < virtual_ips.size(); ++i) {
    virtual_ips[i].address_host = first + (std::uint32_t{input.u8()} << step);
    virtual_ips[i].id = static_cast<std::uint32_t>(i);
  }
  return virtual_ips;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  clusterip::fuzz::Input input(data, size);
  VirtualIpTable table;
  REQUIRE(table.find(0) == nullptr);
  std::vector<VirtualIp> before;
  while (!input.empty()) {
    const std::vector<VirtualIp> virtual_ips = read_round(input);
    table.assign(virtual_ips);
    std::unordered_map<std::uint32_t, std::uint32_t> expected;
    for (const VirtualIp& virtual_ip : virtual_ips) {
      expected.try_emplace(virtual_ip.address_host, virtual_ip.id);
    }
    for (const auto& [address, id] : expected) {
      const VirtualIp* found = table.find(address);
      REQUIRE(found != nullptr);
      REQUIRE(found->address_host == address);
      REQUIRE(found->id == id);
      // Neighbours of what is there, near and far.
      for (const std::uint32_t other : {address + 1, address - 1, address ^ 0x80000000u}) {
        REQUIRE((table.find(other) != nullptr) == expected.contains(other));
      }
    }
    // Nothing of the round before is left.
    for (const VirtualIp& old : before) {
      REQUIRE((table.find(old.address_host) != nullptr) == expected.contains(old.address_host));
    }
    before = virtual_ips;
  }
  return 0;
}
