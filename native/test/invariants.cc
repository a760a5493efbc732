#include "test/invariants.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "generated/reason_names.h"
#include "loader/placement.h"
#include "test/kernel_way.h"
#include "test/packets.h"
#include "test/require.h"

namespace clusterip::test {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::size_t kAddresses = 12;  // the two MAC addresses

bool is_same_verdict(const Judgement& one, const Judgement& other) {
  return one.reason == other.reason && one.bucket == other.bucket && one.is_ours == other.is_ours &&
         one.engine_word == other.engine_word && one.ip_length == other.ip_length &&
         one.by_inner_flow == other.by_inner_flow;
}

bool is_same(const Judgement& one, const Judgement& other) {
  return is_same_verdict(one, other) && one.ip_offset == other.ip_offset;
}

// The reasons that say that the frame ends too early: with more octets they may change.
bool is_about_the_end(clusterip_reason reason) {
  return reason == REASON_ETHERNET_TRUNCATED || reason == REASON_IPV4_TRUNCATED ||
         reason == REASON_IPV4_TOTAL_LENGTH;
}

bool has_bucket(const Judgement& judgement) {
  return judgement.reason == REASON_LOCAL_BUCKET || judgement.reason == REASON_FOREIGN_BUCKET;
}

// The judgement by itself: its parts fit to each other, to the frame and to the settings.
void require_consistent(View frame, const Judgement& judgement, const VirtualIpTable& table) {
  REQUIRE(judgement.reason < REASON_COUNT);
  REQUIRE(kReasonNames.at(static_cast<std::size_t>(judgement.reason)) != nullptr);
  const clusterip_verdict verdict = clusterip_verdict_of(judgement.reason);
  if (verdict == VERDICT_NOT_OURS) REQUIRE(!judgement.is_ours);
  if (verdict == VERDICT_FOREIGN || verdict == VERDICT_DROP) {
    REQUIRE(judgement.is_ours);
  }
  if (judgement.by_inner_flow) REQUIRE(judgement.is_ours);
  if (has_bucket(judgement)) {
    REQUIRE(judgement.bucket >= 1);
    REQUIRE(judgement.bucket <= judgement.rule.bucket_count);
    const bool is_local = ((judgement.rule.local_mask >> (judgement.bucket - 1)) & 1) != 0;
    REQUIRE(is_local == (judgement.reason == REASON_LOCAL_BUCKET));
  } else {
    REQUIRE(judgement.bucket == 0);
  }
  REQUIRE(!judgement.has_too_many_tags);
  if (verdict != VERDICT_ACCEPT) return;
  REQUIRE(judgement.is_ours);
  REQUIRE(judgement.ip_offset >= kEthernetHeader);
  REQUIRE(judgement.ip_length >= 20);
  REQUIRE(std::size_t{judgement.ip_offset} + judgement.ip_length <= frame.size());
  const View packet = frame.subspan(judgement.ip_offset, judgement.ip_length);
  REQUIRE((packet[0] >> 4) == 4);
  REQUIRE(static_cast<std::size_t>((packet[2] << 8) | packet[3]) == judgement.ip_length);
  const std::uint32_t destination = (std::uint32_t{packet[16]} << 24) |
                                    (std::uint32_t{packet[17]} << 16) |
                                    (std::uint32_t{packet[18]} << 8) | packet[19];
  const VirtualIp* owner = table.find(destination);
  REQUIRE(owner != nullptr);
  REQUIRE(owner->id == judgement.engine_word);
}

// The octets behind the packet are Ethernet padding; without them, or with others, nothing changes.
void require_independent_of_padding(View frame, std::uint32_t type, const Judgement& judgement,
                                    const VirtualIpTable& table) {
  if (!is_about_the_end(judgement.reason)) {
    Octets longer(frame.begin(), frame.end());
    longer.resize(frame.size() + 7, 0xff);
    REQUIRE(is_same(judge(longer, type, table), judgement));
  }
  if (judgement.ip_length != 0) {
    const std::size_t end = std::size_t{judgement.ip_offset} + judgement.ip_length;
    REQUIRE(is_same(judge(frame.first(end), type, table), judgement));
    // One octet less and the packet is not whole any more.
    const clusterip_reason cut = judge(frame.first(end - 1), type, table).reason;
    REQUIRE(cut == REASON_IPV4_TOTAL_LENGTH || cut == REASON_IPV4_TRUNCATED);
  }
}

void require_independent_of_tags(View frame, std::uint32_t type, const Judgement& judgement,
                                 const VirtualIpTable& table) {
  if (frame.size() < kAddresses) return;
  const Octets plain(frame.begin(), frame.end());
  for (const std::uint16_t ether_type : {std::uint16_t{0x8100}, std::uint16_t{0x88a8}}) {
    // A priority without a VLAN.
    const Judgement of_tagged = judge(tagged(plain, 0xe000, ether_type), type, table);
    REQUIRE(is_same_verdict(of_tagged, judgement));
    REQUIRE(of_tagged.ip_offset == (judgement.ip_offset == 0 ? 0 : judgement.ip_offset + 4));
    if (frame.size() < kEthernetHeader) continue;
    const Judgement of_vlan = judge(tagged(plain, 0xe001, ether_type), type, table);
    REQUIRE(of_vlan.reason == REASON_VLAN_TAGGED);
  }
}

// MAC addresses, and in the IPv4 header type of service, identification, flags, time to live and
// checksum: no verdict depends on them.
void require_independent_of_other_fields(View frame, std::uint32_t type, const Judgement& judgement,
                                         const VirtualIpTable& table) {
  Octets other(frame.begin(), frame.end());
  for (std::size_t i = 0; i < std::min(kAddresses, other.size()); ++i) other[i] ^= 0xff;
  if (judgement.ip_length != 0) {
    const std::size_t ip = judgement.ip_offset;
    for (const std::size_t at : {1u, 4u, 5u, 8u, 10u, 11u}) other[ip + at] ^= 0xff;
    other[ip + 6] ^= 0xe0;
  }
  REQUIRE(is_same(judge(other, type, table), judgement));
}

void require_right_packet_type(View frame, std::uint32_t type, const Judgement& judgement,
                               const VirtualIpTable& table) {
  const Judgement to_other = judge(frame, PACKET_TYPE_OTHER_HOST, table);
  REQUIRE(clusterip_verdict_of(to_other.reason) == VERDICT_NOT_OURS ||
          to_other.reason == REASON_ETHERNET_TRUNCATED);
  if (type == PACKET_TYPE_OTHER_HOST) {
    REQUIRE(is_same(judgement, to_other));
    return;
  }
  for (const clusterip_packet_type own :
       {PACKET_TYPE_HOST, PACKET_TYPE_BROADCAST, PACKET_TYPE_MULTICAST}) {
    REQUIRE(is_same(judge(frame, own, table), judgement));
  }
}

// With every bucket at one of the nodes, exactly one of them takes a frame that has a bucket, and
// all of them say the same of any other frame.
void require_one_owner(View frame, std::uint32_t type, const Judgement& judgement,
                       std::span<const VirtualIp> virtual_ips) {
  VirtualIpTable node;
  std::vector<VirtualIp> of_node(virtual_ips.begin(), virtual_ips.end());
  unsigned owners = 0;
  for (unsigned bucket = 1; bucket <= CLUSTERIP_MAX_BUCKETS; ++bucket) {
    for (VirtualIp& virtual_ip : of_node) {
      virtual_ip.rule.local_mask = static_cast<std::uint16_t>(1u << (bucket - 1));
    }
    node.assign(of_node);
    const Judgement of_this = judge(frame, type, node);
    REQUIRE(of_this.bucket == judgement.bucket);
    if (has_bucket(judgement)) {
      REQUIRE(has_bucket(of_this));
      if (of_this.reason == REASON_LOCAL_BUCKET) ++owners;
    } else {
      REQUIRE(of_this.reason == judgement.reason);
    }
  }
  REQUIRE(owners == (has_bucket(judgement) ? 1u : 0u));
}

unsigned tags_of(View frame) {
  unsigned tags = 0;
  for (std::size_t at = kAddresses; at + 1 < frame.size(); at += 4, ++tags) {
    const unsigned ether_type = (unsigned{frame[at]} << 8) | frame[at + 1];
    if (ether_type != 0x8100 && ether_type != 0x88a8) break;
  }
  return tags;
}

// Engine "bpf" says what engine "userspace" says, however much of the frame it can read directly.
void require_same_in_the_kernel(View frame, std::uint32_t type, const Judgement& judgement,
                                std::span<const VirtualIp> virtual_ips) {
  // One for all frames, empty between them: a new one each was most of a fuzzer's time.
  static clusterip_vip_table table;
  for (const VirtualIp& virtual_ip : virtual_ips) {
    BpfVirtualIp entry{.address_wire = htonl(virtual_ip.address_host), .settings = {}};
    entry.settings.rule = virtual_ip.rule;
    entry.settings.slot = static_cast<std::uint8_t>(virtual_ip.id);
    // Of two with one address the first counts.
    if (!find_place(table, entry.address_wire)) REQUIRE(write_place(table, entry));
  }
  for (const std::size_t linear : {std::size_t{0}, std::size_t{14}, std::size_t{34},
                                   std::size_t{42}, std::size_t{62}, frame.size()}) {
    const KernelFrame kernel_frame{.octets = frame, .linear = linear};
    const Judgement directly = judge_directly(kernel_frame, type, table);
    const Judgement kernel = judge_kernel_way(kernel_frame, type, table);
    REQUIRE(directly.reason == CLUSTERIP_UNREADABLE || directly.reason == kernel.reason);
    if (kernel.has_too_many_tags) {
      REQUIRE(tags_of(frame) > kKernelTags);
      REQUIRE(kernel.reason == REASON_VLAN_TAGGED);
      continue;
    }
    REQUIRE(kernel.reason == judgement.reason);
    REQUIRE(kernel.bucket == judgement.bucket);
    REQUIRE(kernel.is_ours == judgement.is_ours);
    REQUIRE(kernel.ip_offset == judgement.ip_offset);
    REQUIRE(kernel.ip_length == judgement.ip_length);
    REQUIRE(kernel.by_inner_flow == judgement.by_inner_flow);
    if (!kernel.is_ours) continue;
    const auto words =
        std::bit_cast<clusterip_virtual_ip>(std::array<std::uint64_t, 2>{0, kernel.engine_word});
    REQUIRE(words.slot == static_cast<std::uint8_t>(judgement.engine_word));
  }
  for (const VirtualIp& virtual_ip : virtual_ips) {
    erase_place(table, htonl(virtual_ip.address_host));
  }
}

}  // namespace

void require_judge_invariants(View frame, std::uint32_t type,
                              std::span<const VirtualIp> virtual_ips) {
  VirtualIpTable table;
  table.assign(virtual_ips);
  // An allocation of exactly this size, so that AddressSanitizer sees the first octet too many.
  const auto exact = std::make_unique<std::uint8_t[]>(frame.size());
  std::copy(frame.begin(), frame.end(), exact.get());
  const Judgement judgement = judge({exact.get(), frame.size()}, type, table);
  // Once more with another alignment.
  const auto shifted = std::make_unique<std::uint8_t[]>(frame.size() + 1);
  std::copy(frame.begin(), frame.end(), shifted.get() + 1);
  REQUIRE(is_same(judge({shifted.get() + 1, frame.size()}, type, table), judgement));

  require_consistent(frame, judgement, table);
  require_independent_of_padding(frame, type, judgement, table);
  require_independent_of_tags(frame, type, judgement, table);
  require_independent_of_other_fields(frame, type, judgement, table);
  require_right_packet_type(frame, type, judgement, table);
  require_one_owner(frame, type, judgement, virtual_ips);
  require_same_in_the_kernel({exact.get(), frame.size()}, type, judgement, virtual_ips);
}

}  // namespace clusterip::test
