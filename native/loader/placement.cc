#include "loader/placement.h"

#include <array>
#include <atomic>
#include <bit>
#include <bitset>

namespace clusterip {
namespace {

using Word = std::atomic_ref<std::uint64_t>;
static_assert(Word::is_always_lock_free);
using Words = std::array<std::uint64_t, 2>;
static_assert(sizeof(Words) == sizeof(clusterip_virtual_ip));
static_assert(sizeof(clusterip_rule) == sizeof(std::uint64_t), "one write changes all of it");

// Tallies are all there is in it.
using VipTallies = std::array<clusterip_tally, 2 * CLUSTERIP_MAX_BUCKETS + 1>;
static_assert(sizeof(VipTallies) == sizeof(clusterip_vip_counters));

void add(clusterip_tally& sum, const clusterip_tally& tally) noexcept {
  sum.frames += tally.frames;
  sum.bytes += tally.bytes;
}

clusterip_place& place_at(clusterip_vip_table& table, std::uint32_t index) noexcept {
  return table.places[index % CLUSTERIP_PLACES];
}

std::uint64_t state_of(std::uint64_t key) noexcept { return key >> 32; }

bool is_taken(clusterip_place& place) noexcept {
  return state_of(Word(place.key).load()) == PLACE_TAKEN;
}

clusterip_virtual_ip settings_in(clusterip_place& place) noexcept {
  return std::bit_cast<clusterip_virtual_ip>(
      Words{Word(place.words[0]).load(), Word(place.words[1]).load()});
}

// The place of an address, or else the first one that is not taken; nullptr when there is neither.
clusterip_place* place_for(clusterip_vip_table& table, in_addr_t address_wire) noexcept {
  const std::uint32_t known = clusterip_place_of(&table, address_wire);
  if (known != CLUSTERIP_PLACES) return &table.places[known];
  const std::uint32_t home = clusterip_home(address_wire);
  for (std::uint32_t index = home; index < home + CLUSTERIP_MAX_PROBES; ++index) {
    if (!is_taken(place_at(table, index))) return &place_at(table, index);
  }
  return nullptr;
}

}  // namespace

std::vector<BpfVirtualIp> list_places(clusterip_vip_table& table) {
  std::vector<BpfVirtualIp> entries;
  for (clusterip_place& place : table.places) {
    if (!is_taken(place)) continue;
    entries.push_back({.address_wire = static_cast<in_addr_t>(Word(place.key).load()),
                       .settings = settings_in(place)});
  }
  return entries;
}

std::optional<clusterip_virtual_ip> find_place(clusterip_vip_table& table,
                                               in_addr_t address_wire) noexcept {
  const std::uint32_t index = clusterip_place_of(&table, address_wire);
  if (index == CLUSTERIP_PLACES) return std::nullopt;
  return settings_in(table.places[index]);
}

bool write_place(clusterip_vip_table& table, const BpfVirtualIp& entry) noexcept {
  clusterip_place* place = place_for(table, entry.address_wire);
  if (place == nullptr) return false;
  const auto words = std::bit_cast<Words>(entry.settings);
  Word(place->words[1]).store(words[1]);
  Word(place->words[0]).store(words[0]);
  // The address last: until then the place is passed over.
  Word(place->key).store(clusterip_key(entry.address_wire, PLACE_TAKEN));
  return true;
}

void erase_place(clusterip_vip_table& table, in_addr_t address_wire) noexcept {
  const std::uint32_t index = clusterip_place_of(&table, address_wire);
  if (index == CLUSTERIP_PLACES) return;
  clusterip_place& gone = table.places[index];
  Word(gone.key).store(clusterip_key(address_wire, PLACE_REMOVED));
  // A frame that has just found it here is dropped: all buckets are other nodes'. So is one on a
  // machine that sees the place's next address before its settings.
  Word(gone.words[0]).store(0);
  Word(gone.words[1]).store(0);
  // Nothing lies behind a removed place in front of an empty one.
  for (std::uint32_t at = index;; at += CLUSTERIP_PLACES - 1) {
    clusterip_place& place = place_at(table, at);
    if (state_of(Word(place.key).load()) != PLACE_REMOVED) break;
    if (Word(place_at(table, at + 1).key).load() != 0) break;
    Word(place.key).store(0);
  }
}

std::optional<std::uint8_t> free_slot(clusterip_vip_table& table) {
  static_assert(CLUSTERIP_MAX_VIRTUAL_IPS <= 256, "a slot is an octet");
  std::bitset<CLUSTERIP_MAX_VIRTUAL_IPS> used;
  for (const BpfVirtualIp& entry : list_places(table)) used.set(entry.settings.slot);
  std::size_t slot = 0;
  while (slot < used.size() && used.test(slot)) ++slot;
  if (slot == used.size()) return std::nullopt;
  return static_cast<std::uint8_t>(slot);
}

void begin_slot(clusterip_vip_table& table, std::uint8_t slot,
                const clusterip_vip_counters& counted) noexcept {
  table.baselines[slot] = counted;
  if (slot >= table.used_slots) table.used_slots = slot + 1u;
}

clusterip_vip_counters since_begin(const clusterip_vip_table& table, std::uint8_t slot,
                                   const clusterip_vip_counters& counted) noexcept {
  auto tallies = std::bit_cast<VipTallies>(counted);
  const auto baseline = std::bit_cast<VipTallies>(table.baselines[slot]);
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    tallies[i].frames -= baseline[i].frames;
    tallies[i].bytes -= baseline[i].bytes;
  }
  return std::bit_cast<clusterip_vip_counters>(tallies);
}

clusterip_vip_counters sum_of(std::span<const clusterip_vip_counters> of_cpus) noexcept {
  VipTallies sums{};
  for (const clusterip_vip_counters& of_cpu : of_cpus) {
    const auto tallies = std::bit_cast<VipTallies>(of_cpu);
    for (std::size_t i = 0; i < sums.size(); ++i) add(sums[i], tallies[i]);
  }
  return std::bit_cast<clusterip_vip_counters>(sums);
}

clusterip_nic_counters sum_of(std::span<const clusterip_nic_counters> of_cpus) noexcept {
  clusterip_nic_counters sum{};
  for (const clusterip_nic_counters& of_cpu : of_cpus) {
    for (std::size_t reason = 0; reason < CLUSTERIP_REASON_ROOM; ++reason) {
      add(sum.by_reason[reason], of_cpu.by_reason[reason]);
    }
  }
  return sum;
}

void add_to(clusterip_nic_counters& sum, const clusterip_vip_counters& counted) noexcept {
  for (const auto& tally : counted.local) add(sum.by_reason[REASON_LOCAL_BUCKET], tally);
  for (const auto& tally : counted.foreign) add(sum.by_reason[REASON_FOREIGN_BUCKET], tally);
}

}  // namespace clusterip
