// The table of virtual IPs of engine "bpf" and its counters, in memory of our own.
#include "loader/placement.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <unordered_map>

#include "test/test.h"

namespace clusterip::test {
namespace {

constexpr std::uint32_t kLastHome = CLUSTERIP_PLACES - 2;  // what does not fit goes on at the start

// All zeros, as the kernel makes it; too large for the stack.
std::unique_ptr<clusterip_vip_table> new_table() { return std::make_unique<clusterip_vip_table>(); }

std::vector<in_addr_t> addresses_of_home(std::uint32_t home, std::size_t count) {
  std::vector<in_addr_t> addresses;
  for (in_addr_t address = 1; addresses.size() < count; ++address) {
    if (clusterip_home(address) == home) addresses.push_back(address);
  }
  return addresses;
}

// Told apart by its seed, and by the slot.
BpfVirtualIp entry_of(in_addr_t address, std::uint8_t slot = 0) {
  BpfVirtualIp entry{.address_wire = address, .settings = {}};
  entry.settings.rule = {
      .hash_init = address, .local_mask = 0x5555, .hash_mode = HASH_SOURCE_IP, .bucket_count = 16};
  entry.settings.slot = slot;
  return entry;
}

bool is_found(clusterip_vip_table& table, in_addr_t address) {
  const auto found = find_place(table, address);
  if (found && found->rule.hash_init != address) check(false, __FILE__, __LINE__, "another's");
  return found.has_value();
}

bool is_empty(const clusterip_vip_table& table) {
  return std::ranges::all_of(table.places, [](const clusterip_place& place) {
    return place.key == 0 && place.words[0] == 0 && place.words[1] == 0;
  });
}

}  // namespace

TEST(places_take_as_many_of_one_home_as_there_may_be) {
  const auto table = new_table();
  const auto all = addresses_of_home(kLastHome, CLUSTERIP_MAX_VIRTUAL_IPS + 1);
  for (std::size_t i = 0; i < CLUSTERIP_MAX_VIRTUAL_IPS; ++i) {
    CHECK(write_place(*table, entry_of(all[i])));
  }
  CHECK(!write_place(*table, entry_of(all.back())));
  CHECK(!is_found(*table, all.back()));
  // A known one has its place.
  CHECK(write_place(*table, entry_of(all.front())));
  CHECK_EQUAL(list_places(*table).size(), std::size_t{CLUSTERIP_MAX_VIRTUAL_IPS});
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK_EQUAL(is_found(*table, all[i]), i < CLUSTERIP_MAX_VIRTUAL_IPS);
  }
  erase_place(*table, all[7]);
  CHECK(write_place(*table, entry_of(all.back())));
  CHECK(is_found(*table, all.back()));
  CHECK(!is_found(*table, all[7]));
}

TEST(places_hold_what_was_written_after_every_change) {
  const auto table = new_table();
  std::mt19937 random(20261127);  // NOLINT(cert-msc51-cpp): the same changes every time
  std::vector<in_addr_t> pool;
  // Their neighbours' homes are anywhere: chains run into each other.
  for (const in_addr_t address : addresses_of_home(kLastHome, 40)) {
    for (in_addr_t near = 0; near < 3; ++near) pool.push_back(address + near);
  }
  std::unordered_map<in_addr_t, std::uint8_t> served;
  for (unsigned change = 0; change < 5000; ++change) {
    const in_addr_t address = pool[random() % pool.size()];
    const auto slot = static_cast<std::uint8_t>(random());
    if (random() % 3 == 0) {
      erase_place(*table, address);
      served.erase(address);
    } else if (write_place(*table, entry_of(address, slot))) {
      served[address] = slot;
    }
    if (change % 50 != 0) continue;
    for (const in_addr_t asked : pool) {
      const auto found = find_place(*table, asked);
      const auto expected = served.find(asked);
      CHECK_EQUAL(found.has_value(), expected != served.end());
      if (found && expected != served.end()) CHECK_EQUAL(found->slot, expected->second);
    }
    CHECK_EQUAL(list_places(*table).size(), served.size());
  }
  for (const in_addr_t address : pool) erase_place(*table, address);
  CHECK(is_empty(*table));
}

TEST(places_of_the_first_and_last_address) {
  const auto table = new_table();
  for (const in_addr_t address : {in_addr_t{0}, in_addr_t{0xffffffff}}) {
    CHECK(!is_found(*table, address));
    CHECK(write_place(*table, entry_of(address)));
    CHECK(is_found(*table, address));
    erase_place(*table, address);
    erase_place(*table, address);
    CHECK(!is_found(*table, address));
  }
  CHECK(is_empty(*table));
}

// What a program sees meanwhile: ThreadSanitizer looks on.
TEST(a_place_is_found_at_any_moment_while_others_come_and_go) {
  const auto table = new_table();
  const auto addresses = addresses_of_home(kLastHome, 40);
  const in_addr_t kept = addresses[20];
  for (const in_addr_t address : addresses) CHECK(write_place(*table, entry_of(address)));
  std::atomic<bool> is_over = false;
  std::atomic<unsigned> searches = 0;
  unsigned missed = 0;
  std::thread program([&] {
    while (!is_over) {
      const std::uint32_t index = clusterip_place_of(table.get(), kept);
      const bool is_found =
          index != CLUSTERIP_PLACES &&
          clusterip_read_once(&table->places[index].key) == clusterip_key(kept, PLACE_TAKEN);
      if (!is_found) ++missed;
      ++searches;
    }
  });
  for (unsigned change = 0; change < 3000 || searches < 1000; ++change) {
    const in_addr_t address = addresses[std::size_t{change} * 7 % addresses.size()];
    if (address == kept) continue;
    if (find_place(*table, address)) {
      erase_place(*table, address);
    } else {
      CHECK(write_place(*table, entry_of(address)));
    }
  }
  is_over = true;
  program.join();
  CHECK_EQUAL(missed, 0u);
}

TEST(slots_are_used_again_and_count_from_0) {
  const auto table = new_table();
  for (in_addr_t address = 1; address <= CLUSTERIP_MAX_VIRTUAL_IPS; ++address) {
    const auto slot = free_slot(*table);
    CHECK(slot.has_value());
    if (slot) CHECK(write_place(*table, entry_of(address, *slot)));
  }
  CHECK(!free_slot(*table).has_value());
  const auto gone = find_place(*table, 100);
  erase_place(*table, 100);
  const auto again = free_slot(*table);
  CHECK(gone && again && gone->slot == *again);

  clusterip_vip_counters counted{};
  counted.local[0] = {.frames = 5, .bytes = 500};
  counted.foreign[15] = {.frames = 7, .bytes = 700};
  counted.without_bucket = {.frames = 1, .bytes = 60};
  begin_slot(*table, 3, counted);
  CHECK_EQUAL(table->used_slots, 4u);
  begin_slot(*table, 1, counted);
  CHECK_EQUAL(table->used_slots, 4u);
  counted.local[0].frames += 2;
  counted.foreign[15].bytes += 60;
  const clusterip_vip_counters since = since_begin(*table, 3, counted);
  CHECK_EQUAL(since.local[0].frames, 2u);
  CHECK_EQUAL(since.local[0].bytes, 0u);
  CHECK_EQUAL(since.foreign[15].bytes, 60u);
  CHECK_EQUAL(since.without_bucket.frames, 0u);
}

TEST(counters_are_summed_over_cpus_and_slots) {
  std::vector<clusterip_vip_counters> of_cpus(3);
  std::vector<clusterip_nic_counters> nic_of_cpus(3);
  for (unsigned cpu = 0; cpu < 3; ++cpu) {
    of_cpus[cpu].local[0] = {.frames = cpu, .bytes = std::uint64_t{10} * cpu};
    of_cpus[cpu].foreign[15] = {.frames = 1, .bytes = 1};
    of_cpus[cpu].without_bucket = {.frames = 2, .bytes = 2};
    for (auto& tally : nic_of_cpus[cpu].by_reason) tally = {.frames = 1, .bytes = 2};
  }
  const clusterip_vip_counters sum = sum_of(std::span<const clusterip_vip_counters>(of_cpus));
  CHECK_EQUAL(sum.local[0].frames, 3u);
  CHECK_EQUAL(sum.local[0].bytes, 30u);
  CHECK_EQUAL(sum.local[1].frames, 0u);
  CHECK_EQUAL(sum.foreign[15].frames, 3u);
  CHECK_EQUAL(sum.without_bucket.bytes, 6u);
  clusterip_nic_counters nic = sum_of(std::span<const clusterip_nic_counters>(nic_of_cpus));
  add_to(nic, sum);
  CHECK_EQUAL(nic.by_reason[REASON_LOCAL_BUCKET].frames, 3u + 3u);
  CHECK_EQUAL(nic.by_reason[REASON_FOREIGN_BUCKET].bytes, 6u + 3u);
  CHECK_EQUAL(nic.by_reason[REASON_LATER_FRAGMENT].frames, 3u);
  CHECK_EQUAL(nic.by_reason[CLUSTERIP_REASON_ROOM - 1].bytes, 6u);
}

// Another size is another layout: MAP_LAYOUT of src/core/facts.ts counts up, and these change too.
TEST(the_layout_of_the_maps_is_what_its_number_says) {
  CHECK_EQUAL(CLUSTERIP_MAP_LAYOUT, 1);
  CHECK_EQUAL(sizeof(clusterip_virtual_ip), 16u);
  CHECK_EQUAL(sizeof(clusterip_vip_counters), 528u);
  CHECK_EQUAL(sizeof(clusterip_nic_counters), 1024u);
  CHECK_EQUAL(sizeof(clusterip_vip_table), 512u * 32u + 8u + 256u * 528u);
  CHECK_EQUAL(offsetof(clusterip_virtual_ip, cluster_mac), 8u);
  CHECK_EQUAL(offsetof(clusterip_rule, local_mask), 4u);
  CHECK_EQUAL(offsetof(clusterip_rule, hash_mode), 6u);
  CHECK_EQUAL(offsetof(clusterip_rule, bucket_count), 7u);
}

}  // namespace clusterip::test
