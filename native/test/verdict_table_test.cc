// Every row of the verdict table (src/verdict-table), which scripts/dev/test-native has written
// down as octets.
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "generated/reason_names.h"
#include "test/invariants.h"
#include "test/packets.h"
#include "test/test.h"
#include "userspace/judge.h"

namespace clusterip::test {
namespace {

struct Row {
  clusterip_packet_type type = PACKET_TYPE_HOST;
  VirtualIp virtual_ip;
  std::string reason;
  unsigned bucket = 0;
  Octets frame;
};

Octets octets_of(std::string_view hex) {
  Octets octets;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    const std::string_view digits = hex.substr(at, 2);
    octets.push_back(0);
    std::from_chars(digits.data(), digits.data() + digits.size(), octets.back(), 16);
  }
  return octets;
}

// TYPE ADDRESS MODE BUCKET_COUNT HASH_INIT LOCAL_MASK REASON BUCKET [HEX]
Row read_row(const std::string& line) {
  std::istringstream words(line);
  Row row;
  std::array<unsigned, 3> small{};
  std::string hex;
  words >> small[0] >> row.virtual_ip.address_host >> small[1] >> small[2];
  words >> row.virtual_ip.rule.hash_init >> row.virtual_ip.rule.local_mask >> row.reason >>
      row.bucket;
  CHECK(words);
  words >> hex;
  row.type = static_cast<clusterip_packet_type>(small[0]);
  row.virtual_ip.rule.hash_mode = static_cast<std::uint8_t>(small[1]);
  row.virtual_ip.rule.bucket_count = static_cast<std::uint8_t>(small[2]);
  row.frame = octets_of(hex);
  return row;
}

}  // namespace

TEST(verdict_table) {
  const char* file = std::getenv("VERDICT_TABLE");  // NOLINT(concurrency-mt-unsafe): read only
  if (file == nullptr)
    SKIP("needs the verdict table: run by scripts/dev/test-native after npm run build");
  std::ifstream table_file(file);
  std::string line;
  unsigned rows = 0;
  while (std::getline(table_file, line)) {
    const Row row = read_row(line);
    VirtualIpTable table;
    table.assign({&row.virtual_ip, 1});
    const Judgement judgement = judge(row.frame, row.type, table);
    CHECK_EQUAL(kReasonNames.at(static_cast<std::size_t>(judgement.reason)), row.reason);
    CHECK_EQUAL(judgement.bucket, row.bucket);
    require_judge_invariants(row.frame, row.type, {&row.virtual_ip, 1});
    ++rows;
  }
  CHECK(rows > 50);
}

}  // namespace clusterip::test
