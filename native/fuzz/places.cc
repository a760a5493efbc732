// The table of virtual IPs of engine "bpf" against std::unordered_map: any of them come, change and
// go.
//
// The input is a sequence of 3 octets: bit 0 of the first "goes", the rest which of a few homes,
// next to each other; then which address of that home, and the slot.
#include <map>
#include <unordered_map>

#include "fuzz/input.h"
#include "loader/placement.h"
#include "test/require.h"

namespace {

constexpr unsigned kHomes = 4;
constexpr unsigned kFirstHome = CLUSTERIP_PLACES - 2;  // what does not fit goes on at the start
constexpr unsigned kOfOneHome = 256;

std::vector<in_addr_t> find_addresses() {
  std::map<std::uint32_t, std::vector<in_addr_t>> by_home;
  for (unsigned i = 0; i < kHomes; ++i) by_home[(kFirstHome + i) % CLUSTERIP_PLACES];
  std::size_t found = 0;
  for (in_addr_t address = 0; found < std::size_t{kHomes} * kOfOneHome; ++address) {
    const auto home = by_home.find(clusterip_home(address));
    if (home == by_home.end() || home->second.size() == kOfOneHome) continue;
    home->second.push_back(address);
    ++found;
  }
  std::vector<in_addr_t> all;
  for (const auto& [_, addresses] : by_home) {
    all.insert(all.end(), addresses.begin(), addresses.end());
  }
  return all;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<in_addr_t> addresses = find_addresses();
  clusterip::fuzz::Input input(data, size);
  // Empty again after every input, as is seen at the end.
  static clusterip_vip_table table;
  std::unordered_map<in_addr_t, std::uint8_t> served;
  while (!input.empty()) {
    const std::uint8_t head = input.u8();
    const in_addr_t address = addresses[(head >> 1) % kHomes * kOfOneHome + input.u8()];
    if ((head & 1) != 0) {
      clusterip::erase_place(table, address);
      served.erase(address);
      REQUIRE(!clusterip::find_place(table, address));
      continue;
    }
    clusterip::BpfVirtualIp entry{.address_wire = address, .settings = {}};
    entry.settings.rule.hash_init = address;
    entry.settings.slot = input.u8();
    const bool has_room = served.contains(address) || served.size() < CLUSTERIP_MAX_VIRTUAL_IPS;
    REQUIRE(clusterip::write_place(table, entry) || !has_room);
    if (const auto found = clusterip::find_place(table, address)) {
      served[address] = found->slot;
      REQUIRE(found->slot == entry.settings.slot);
    }
  }
  REQUIRE(clusterip::list_places(table).size() == served.size());
  for (const auto& [address, slot] : served) {
    const auto found = clusterip::find_place(table, address);
    REQUIRE(found);
    REQUIRE(found->slot == slot);
    REQUIRE(found->rule.hash_init == address);
    clusterip::erase_place(table, address);
  }
  // Nothing is left behind: the next ones find a table as new.
  for (const clusterip_place& place : table.places) REQUIRE(place.key == 0);
  return 0;
}
