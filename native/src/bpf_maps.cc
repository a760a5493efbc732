#include "bpf_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <bit>
#include <bitset>
#include <type_traits>

namespace clusterip {
namespace {

// A per-CPU map is read and written as an array, one value for each possible CPU.
template <typename Value>
Result<std::vector<Value>> read_all_cpus(const Fd& map, std::uint32_t key) {
  static_assert(sizeof(Value) % 8 == 0, "values are padded to 8 octets");
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return SysError{.call = "possible CPUs", .error = -cpus};
  std::vector<Value> values(static_cast<std::size_t>(cpus));
  if (bpf_map_lookup_elem(map.get(), &key, values.data()) != 0) {
    return last_error("BPF_MAP_LOOKUP_ELEM");
  }
  return values;
}

void add(clusterip_tally& sum, const clusterip_tally& tally) noexcept {
  sum.frames += tally.frames;
  sum.bytes += tally.bytes;
}

// Tallies are all there is in it.
using VipTallies = std::array<clusterip_tally, 2 * CLUSTERIP_MAX_NODES + 1>;
static_assert(sizeof(VipTallies) == sizeof(clusterip_vip_counters));

Result<clusterip_vip_counters> sum_slot(const Fd& vip_counters, std::uint32_t slot) {
  const auto values = read_all_cpus<clusterip_vip_counters>(vip_counters, slot);
  if (const auto* error = std::get_if<SysError>(&values)) return *error;
  VipTallies sums{};
  for (const auto& value : std::get<std::vector<clusterip_vip_counters>>(values)) {
    const auto tallies = std::bit_cast<VipTallies>(value);
    for (std::size_t i = 0; i < sums.size(); ++i) add(sums[i], tallies[i]);
  }
  return std::bit_cast<clusterip_vip_counters>(sums);
}

using Word = std::atomic_ref<__u64>;
static_assert(Word::is_always_lock_free);
using Words = std::array<__u64, 2>;
static_assert(sizeof(Words) == sizeof(clusterip_virtual_ip));

clusterip_place& place_at(const VipTable& table, std::uint32_t index) noexcept {
  return table->places[index % CLUSTERIP_PLACES];
}

bool is_taken(clusterip_place& place) noexcept {
  return Word(place.key).load() >> 32 == PLACE_TAKEN;
}

clusterip_virtual_ip settings_in(clusterip_place& place) noexcept {
  return std::bit_cast<clusterip_virtual_ip>(
      Words{Word(place.words[0]).load(), Word(place.words[1]).load()});
}

// As find_place of native/bpf/maps.h searches.
std::optional<std::uint32_t> index_of(const VipTable& table, in_addr_t address_wire) noexcept {
  const std::uint32_t home = clusterip_home(address_wire);
  for (std::uint32_t index = home; index < home + CLUSTERIP_MAX_PROBES; ++index) {
    const __u64 key = Word(place_at(table, index).key).load();
    if (key == clusterip_key(address_wire, PLACE_TAKEN)) return index;
    if (key == 0) break;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> free_index(const VipTable& table, in_addr_t address_wire) noexcept {
  const std::uint32_t home = clusterip_home(address_wire);
  for (std::uint32_t index = home; index < home + CLUSTERIP_MAX_PROBES; ++index) {
    if (!is_taken(place_at(table, index))) return index;
  }
  return std::nullopt;
}

}  // namespace

Result<VipTable> VipTable::map(const Fd& fd) {
  void* memory =
      ::mmap(nullptr, sizeof(clusterip_vip_table), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return last_error("mmap of the virtual IPs");
  VipTable table;
  table.table_.reset(static_cast<clusterip_vip_table*>(memory));
  return table;
}

void VipTable::Unmap::operator()(clusterip_vip_table* table) const noexcept {
  ::munmap(table, sizeof *table);
}

Result<std::vector<BpfVirtualIp>> BpfMaps::list() const {
  if (!table) return SysError{.call = "list virtual IPs", .error = EBADF};
  std::vector<BpfVirtualIp> entries;
  for (clusterip_place& place : table->places) {
    if (!is_taken(place)) continue;
    entries.push_back({.address_wire = static_cast<in_addr_t>(Word(place.key).load()),
                       .settings = settings_in(place)});
  }
  return entries;
}

Result<clusterip_virtual_ip> BpfMaps::find(in_addr_t address_wire) const {
  if (!table) return SysError{.call = "find virtual IP", .error = EBADF};
  const auto index = index_of(table, address_wire);
  if (!index) return SysError{.call = "find virtual IP", .error = ENOENT};
  return settings_in(place_at(table, *index));
}

std::optional<SysError> BpfMaps::write(const BpfVirtualIp& entry) const {
  if (!table) return SysError{.call = "write virtual IP", .error = EBADF};
  const auto known = index_of(table, entry.address_wire);
  const auto index = known ? known : free_index(table, entry.address_wire);
  if (!index) return SysError{.call = "write virtual IP", .error = ENOSPC};
  clusterip_place& place = place_at(table, *index);
  const auto words = std::bit_cast<Words>(entry.settings);
  Word(place.words[1]).store(words[1]);
  Word(place.words[0]).store(words[0]);
  // The address last: until then the place is passed over.
  Word(place.key).store(clusterip_key(entry.address_wire, PLACE_TAKEN));
  return std::nullopt;
}

std::optional<SysError> BpfMaps::erase(in_addr_t address_wire) const {
  if (!table) return SysError{.call = "erase virtual IP", .error = EBADF};
  const auto index = index_of(table, address_wire);
  if (!index) return std::nullopt;
  clusterip_place& gone = place_at(table, *index);
  Word(gone.key).store(clusterip_key(address_wire, PLACE_REMOVED));
  // A frame that has just found it here is dropped: all buckets are other nodes'. So is one on a
  // machine that sees the place's next address before its settings.
  Word(gone.words[0]).store(0);
  Word(gone.words[1]).store(0);
  // Nothing lies behind a removed place in front of an empty one.
  for (std::uint32_t at = *index;; at += CLUSTERIP_PLACES - 1) {
    clusterip_place& place = place_at(table, at);
    if (Word(place.key).load() >> 32 != PLACE_REMOVED) break;
    if (Word(place_at(table, at + 1).key).load() != 0) break;
    Word(place.key).store(0);
  }
  return std::nullopt;
}

Result<std::uint8_t> BpfMaps::free_slot() const {
  const auto entries = list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  std::bitset<CLUSTERIP_MAX_VIRTUAL_IPS> used;
  for (const auto& [_, settings] : std::get<std::vector<BpfVirtualIp>>(entries)) {
    used.set(settings.slot);
  }
  static_assert(CLUSTERIP_MAX_VIRTUAL_IPS <= 256, "a slot is an octet");
  std::size_t slot = 0;
  while (slot < used.size() && used.test(slot)) ++slot;
  if (slot == used.size()) return SysError{.call = "free slot", .error = ENOSPC};
  const auto sums = sum_slot(vip_counters, static_cast<std::uint32_t>(slot));
  if (const auto* error = std::get_if<SysError>(&sums)) return *error;
  table->baselines[slot] = std::get<clusterip_vip_counters>(sums);
  if (slot >= table->used_slots) table->used_slots = slot + 1;
  return static_cast<std::uint8_t>(slot);
}

Result<clusterip_nic_counters> BpfMaps::count_nic() const {
  if (!table) return SysError{.call = "count", .error = EBADF};
  const auto values = read_all_cpus<clusterip_nic_counters>(nic_counters, 0);
  if (const auto* error = std::get_if<SysError>(&values)) return *error;
  clusterip_nic_counters sum{};
  for (const auto& value : std::get<std::vector<clusterip_nic_counters>>(values)) {
    for (std::size_t reason = 0; reason < REASON_COUNT; ++reason) {
      add(sum.by_reason[reason], value.by_reason[reason]);
    }
  }
  for (std::uint32_t slot = 0; slot < table->used_slots; ++slot) {
    const auto counted = sum_slot(vip_counters, slot);
    if (const auto* error = std::get_if<SysError>(&counted)) return *error;
    const auto& counters = std::get<clusterip_vip_counters>(counted);
    for (const auto& tally : counters.local) add(sum.by_reason[REASON_LOCAL_BUCKET], tally);
    for (const auto& tally : counters.foreign) add(sum.by_reason[REASON_FOREIGN_BUCKET], tally);
  }
  return sum;
}

Result<clusterip_vip_counters> BpfMaps::count_virtual_ip(in_addr_t address_wire) const {
  const auto settings = find(address_wire);
  if (const auto* error = std::get_if<SysError>(&settings)) return *error;
  const std::uint32_t slot = std::get<clusterip_virtual_ip>(settings).slot;
  const auto sums = sum_slot(vip_counters, slot);
  if (const auto* error = std::get_if<SysError>(&sums)) return *error;
  auto tallies = std::bit_cast<VipTallies>(std::get<clusterip_vip_counters>(sums));
  const auto baseline = std::bit_cast<VipTallies>(table->baselines[slot]);
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    tallies[i].frames -= baseline[i].frames;
    tallies[i].bytes -= baseline[i].bytes;
  }
  return std::bit_cast<clusterip_vip_counters>(tallies);
}

}  // namespace clusterip
