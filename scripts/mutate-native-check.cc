// The native verdict against expectations on standard input; scripts/mutate.ts writes them and
// builds this file together with a mutant of native/src. Lines, all numbers decimal:
//   limit TOTAL                                    the most buckets there are
//   bucket MODE TOTAL SEED PROTOCOL SADDR SPORT_WORD DPORT_WORD BUCKET
//   interface                                      begins a new set of virtual IPs
//   vip ADDRESS MODE TOTAL SEED LOCAL_MASK
//   frame PACKET_TYPE REASON BUCKET INNER IP_OFFSET IP_LENGTH LENGTH HEX
//                          (INNER counts when there is a bucket, the next two for accept only)
// Exit status 1 at the first line that is not as expected. One translation unit without
// iostreams, because it is compiled hundreds of times.
#include <cstdio>
#include <cstring>

#include "verdict.cc"

using namespace clusterip;

namespace {

bool check_bucket() {
  unsigned mode, total, seed, protocol, saddr, sport, dport, bucket;
  if (std::scanf("%u %u %u %u %u %u %u %u", &mode, &total, &seed, &protocol, &saddr, &sport, &dport,
                 &bucket) != 8) {
    return false;
  }
  const bool has_ports = ports_offset(static_cast<std::uint8_t>(protocol)).has_value();
  return bucket_of(saddr, has_ports ? PortWords{sport, dport} : PortWords{},
                   {static_cast<HashMode>(mode), static_cast<std::uint8_t>(total), seed}) == bucket;
}

bool read_vip(VirtualIp& vip) {
  unsigned mode, total, mask;
  if (std::scanf("%u %u %u %u %u", &vip.address_host, &mode, &total, &vip.hash.hash_init, &mask) !=
      5) {
    return false;
  }
  vip.hash.mode = static_cast<HashMode>(mode);
  vip.hash.total_nodes = static_cast<std::uint8_t>(total);
  vip.local_mask = static_cast<std::uint16_t>(mask);
  return true;
}

bool check_frame(const VirtualIpTable& table) {
  unsigned type, reason, bucket, inner, offset, ip_length, length;
  if (std::scanf("%u %u %u %u %u %u %u", &type, &reason, &bucket, &inner, &offset, &ip_length,
                 &length) != 7) {
    return false;
  }
  // Exactly as long as the frame, so that a read behind its end is found.
  std::vector<std::uint8_t> frame(length);
  for (std::uint8_t& octet : frame) {
    if (std::scanf(" %2hhx", &octet) != 1) return false;
  }
  const Judgement judged = judge(frame, static_cast<PacketType>(type), table);
  if (static_cast<unsigned>(judged.reason) != reason || judged.bucket != bucket) return false;
  if (judged.bucket != 0 && judged.by_inner_flow != (inner != 0)) return false;
  return verdict_of(judged.reason) != Verdict::kAccept ||
         (judged.ip_offset == offset && judged.ip_length == ip_length);
}

}  // namespace

int main() {
  std::vector<VirtualIp> virtual_ips;
  VirtualIpTable table;
  char kind[16];
  while (std::scanf("%15s", kind) == 1) {
    bool ok = true;
    if (std::strcmp(kind, "interface") == 0) {
      virtual_ips.clear();
      table.assign(virtual_ips);
    } else if (std::strcmp(kind, "vip") == 0) {
      ok = read_vip(virtual_ips.emplace_back());
      table.assign(virtual_ips);
    } else if (std::strcmp(kind, "limit") == 0) {
      unsigned limit = 0;
      ok = std::scanf("%u", &limit) == 1 && limit == kMaxNodes;
    } else if (std::strcmp(kind, "bucket") == 0) {
      ok = check_bucket();
    } else {
      ok = check_frame(table);
    }
    if (!ok) return 1;
  }
  return 0;
}
