// The verdict in C against expectations on standard input, as each engine comes to it;
// scripts/mutate/mutate.ts writes them and builds this file together with a mutant of native.
// Lines, all numbers decimal:
//   limit TOTAL                                    the most buckets there are
//   bucket MODE BUCKET_COUNT SEED PROTOCOL SADDR SPORT_WORD DPORT_WORD BUCKET
//   interface                                      begins a new set of virtual IPs
//   vip ADDRESS MODE BUCKET_COUNT SEED LOCAL_MASK
//   frame PACKET_TYPE REASON BUCKET INNER IP_OFFSET IP_LENGTH LENGTH HEX
//                          (INNER counts when there is a bucket, the next two for accept only)
//   merged REASON BUCKET LENGTH HEX                several frames as one, which only the kernel
//   hands over
// Exit status 1 at the first line that is not as expected. No iostreams, because it is compiled
// hundreds of times.
#include <arpa/inet.h>

#include <cstdio>
#include <cstring>

#include "loader/placement.h"
#include "test/kernel_way.h"
#include "userspace/judge.h"

using namespace clusterip;
using namespace clusterip::test;

namespace {

struct Interface {
  std::vector<VirtualIp> virtual_ips;
  VirtualIpTable table;
  clusterip_vip_table kernel_table{};
};

bool check_bucket() {
  unsigned mode, count, seed, protocol, saddr, sport, dport, bucket;
  if (std::scanf("%u %u %u %u %u %u %u %u", &mode, &count, &seed, &protocol, &saddr, &sport, &dport,
                 &bucket) != 8) {
    return false;
  }
  const clusterip_rule rule = {seed, 0, static_cast<std::uint8_t>(mode),
                               static_cast<std::uint8_t>(count)};
  return bucket_of_flow(rule, static_cast<std::uint8_t>(protocol), saddr, sport, dport) == bucket;
}

bool read_vip(Interface& nic) {
  VirtualIp vip;
  unsigned mode, count, mask;
  if (std::scanf("%u %u %u %u %u", &vip.address_host, &mode, &count, &vip.rule.hash_init, &mask) !=
      5) {
    return false;
  }
  vip.rule.hash_mode = static_cast<std::uint8_t>(mode);
  vip.rule.bucket_count = static_cast<std::uint8_t>(count);
  vip.rule.local_mask = static_cast<std::uint16_t>(mask);
  vip.id = static_cast<std::uint32_t>(nic.virtual_ips.size()) + 1;
  nic.virtual_ips.push_back(vip);
  nic.table.assign(nic.virtual_ips);
  BpfVirtualIp entry;
  entry.address_wire = htonl(vip.address_host);
  entry.settings.rule = vip.rule;
  // Of two with one address the first counts.
  if (!find_place(nic.kernel_table, entry.address_wire)) {
    return write_place(nic.kernel_table, entry);
  }
  return true;
}

// Exactly as long as the frame.
bool read_octets(std::vector<std::uint8_t>& frame) {
  unsigned length;
  if (std::scanf("%u", &length) != 1) return false;
  frame.resize(length);
  for (std::uint8_t& octet : frame) {
    if (std::scanf(" %2hhx", &octet) != 1) return false;
  }
  return true;
}

unsigned tags_of(const std::vector<std::uint8_t>& frame) {
  unsigned tags = 0;
  for (std::size_t at = 12; at + 1 < frame.size(); at += 4, ++tags) {
    const unsigned ether_type = frame[at] * 256u + frame[at + 1];
    if (ether_type != 0x8100 && ether_type != 0x88a8) break;
  }
  return tags;
}

struct Expected {
  unsigned reason, bucket, inner, ip_offset, ip_length;
};

bool is_as_expected(const Judgement& judged, const std::vector<std::uint8_t>& frame,
                    const Expected& expected) {
  if (static_cast<unsigned>(judged.reason) != expected.reason) return false;
  if (judged.bucket != expected.bucket) return false;
  if (judged.bucket != 0) {
    if (judged.by_inner_flow != (expected.inner != 0)) return false;
    const std::uint8_t* packet = frame.data() + judged.ip_offset;
    if (judged.payload_offset != judged.ip_offset + (packet[0] & 15u) * 4) return false;
    if (judged.protocol != packet[9]) return false;
  }
  return !clusterip_is_accepted(judged.reason) ||
         (judged.ip_offset == expected.ip_offset && judged.ip_length == expected.ip_length);
}

// By the id the counters of the packet path find the virtual IP.
bool is_of_owner(const Judgement& judged, const std::vector<std::uint8_t>& frame,
                 const VirtualIpTable& table) {
  if (judged.bucket == 0) return true;
  std::uint32_t wire;
  std::memcpy(&wire, frame.data() + judged.ip_offset + 16, sizeof wire);
  const VirtualIp* owner = table.find(ntohl(wire));
  return owner != nullptr && owner->id == judged.engine_word;
}

bool check_frame(const Interface& nic) {
  unsigned type;
  Expected expected;
  std::vector<std::uint8_t> frame;
  if (std::scanf("%u %u %u %u %u %u", &type, &expected.reason, &expected.bucket, &expected.inner,
                 &expected.ip_offset, &expected.ip_length) != 6 ||
      !read_octets(frame)) {
    return false;
  }
  const Judgement of_userspace = judge(frame, type, nic.table);
  if (!is_as_expected(of_userspace, frame, expected)) return false;
  if (!is_of_owner(of_userspace, frame, nic.table)) return false;
  const unsigned tags = tags_of(frame);
  for (const std::size_t linear : {std::size_t{0}, std::size_t{34}, frame.size()}) {
    const KernelFrame kernel_frame = {frame, linear, false};
    // Directly no tag is followed, and everything else is found.
    const bool is_readable =
        judge_directly(kernel_frame, type, nic.kernel_table).reason != CLUSTERIP_UNREADABLE;
    if (linear == frame.size() && frame.size() >= 14 && is_readable != (tags == 0)) return false;
    const Judgement judged = judge_kernel_way(kernel_frame, type, nic.kernel_table);
    const bool is_deep = tags > kKernelTags && expected.reason != REASON_VLAN_TAGGED &&
                         expected.reason != REASON_ETHERNET_TRUNCATED;
    if (is_deep != judged.has_too_many_tags && tags <= kKernelTags) return false;
    if (is_deep && !judged.has_too_many_tags) return false;
    if (judged.has_too_many_tags) {
      if (judged.reason != REASON_VLAN_TAGGED) return false;
    } else if (!is_as_expected(judged, frame, expected)) {
      return false;
    }
  }
  return true;
}

bool check_merged(const Interface& nic) {
  unsigned reason, bucket;
  std::vector<std::uint8_t> frame;
  if (std::scanf("%u %u", &reason, &bucket) != 2 || !read_octets(frame)) return false;
  const Judgement judged = judge_kernel_way({frame, frame.size(), true}, 0, nic.kernel_table);
  return static_cast<unsigned>(judged.reason) == reason && judged.bucket == bucket;
}

}  // namespace

int main() {
  static Interface nic;
  char kind[16];
  while (std::scanf("%15s", kind) == 1) {
    bool ok = true;
    if (std::strcmp(kind, "interface") == 0) {
      nic.virtual_ips.clear();
      nic.table.assign(nic.virtual_ips);
      nic.kernel_table = {};
    } else if (std::strcmp(kind, "vip") == 0) {
      ok = read_vip(nic);
    } else if (std::strcmp(kind, "limit") == 0) {
      unsigned limit = 0;
      ok = std::scanf("%u", &limit) == 1 && limit == CLUSTERIP_MAX_BUCKETS;
    } else if (std::strcmp(kind, "bucket") == 0) {
      ok = check_bucket();
    } else if (std::strcmp(kind, "merged") == 0) {
      ok = check_merged(nic);
    } else {
      ok = check_frame(nic);
    }
    if (!ok) return 1;
  }
  return 0;
}
