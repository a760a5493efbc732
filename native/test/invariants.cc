#include "invariants.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "packets.h"
#include "require.h"

namespace clusterip::test {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::size_t kAddresses = 12;  // the two MAC addresses

bool is_same_verdict(const Judgement& one, const Judgement& other) {
  return one.reason == other.reason && one.bucket == other.bucket &&
         one.virtual_ip == other.virtual_ip && one.ip_length == other.ip_length &&
         one.by_inner_flow == other.by_inner_flow;
}

bool is_same(const Judgement& one, const Judgement& other) {
  return is_same_verdict(one, other) && one.ip_offset == other.ip_offset;
}

// The reasons that say that the frame ends too early: with more octets they may change.
bool is_about_the_end(Reason reason) {
  return reason == Reason::kEthernetTruncated || reason == Reason::kIpv4Truncated ||
         reason == Reason::kIpv4TotalLength;
}

bool has_bucket(const Judgement& judgement) {
  return judgement.reason == Reason::kLocalBucket || judgement.reason == Reason::kForeignBucket;
}

// The judgement by itself: its parts fit to each other, to the frame and to the settings.
void require_consistent(View frame, const Judgement& judgement, const VirtualIpTable& table) {
  REQUIRE(judgement.reason < Reason::kCount);
  REQUIRE(kReasonNames.at(static_cast<std::size_t>(judgement.reason)) != nullptr);
  const Verdict verdict = verdict_of(judgement.reason);
  if (verdict == Verdict::kNotOurs) REQUIRE(judgement.virtual_ip == nullptr);
  if (verdict == Verdict::kForeign || verdict == Verdict::kDrop) {
    REQUIRE(judgement.virtual_ip != nullptr);
  }
  if (judgement.by_inner_flow) REQUIRE(judgement.virtual_ip != nullptr);
  if (has_bucket(judgement)) {
    REQUIRE(judgement.bucket >= 1);
    REQUIRE(judgement.bucket <= judgement.virtual_ip->hash.total_nodes);
    const bool is_local = ((judgement.virtual_ip->local_mask >> (judgement.bucket - 1)) & 1) != 0;
    REQUIRE(is_local == (judgement.reason == Reason::kLocalBucket));
  } else {
    REQUIRE(judgement.bucket == 0);
  }
  if (judgement.virtual_ip != nullptr) {
    REQUIRE(table.find(judgement.virtual_ip->address_host) == judgement.virtual_ip);
  }
  if (verdict != Verdict::kAccept) return;
  REQUIRE(judgement.virtual_ip != nullptr);
  REQUIRE(judgement.ip_offset >= kEthernetHeader);
  REQUIRE(judgement.ip_length >= 20);
  REQUIRE(std::size_t{judgement.ip_offset} + judgement.ip_length <= frame.size());
  const View packet = frame.subspan(judgement.ip_offset, judgement.ip_length);
  REQUIRE((packet[0] >> 4) == 4);
  REQUIRE(static_cast<std::size_t>((packet[2] << 8) | packet[3]) == judgement.ip_length);
  const std::uint32_t destination = (std::uint32_t{packet[16]} << 24) |
                                    (std::uint32_t{packet[17]} << 16) |
                                    (std::uint32_t{packet[18]} << 8) | packet[19];
  REQUIRE(destination == judgement.virtual_ip->address_host);
}

// The octets behind the packet are Ethernet padding; without them, or with others, nothing changes.
void require_independent_of_padding(View frame, PacketType type, const Judgement& judgement,
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
    const Reason cut = judge(frame.first(end - 1), type, table).reason;
    REQUIRE(cut == Reason::kIpv4TotalLength || cut == Reason::kIpv4Truncated);
  }
}

void require_independent_of_tags(View frame, PacketType type, const Judgement& judgement,
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
    REQUIRE(of_vlan.reason == Reason::kVlanTagged);
  }
}

// MAC addresses, and in the IPv4 header type of service, identification, flags, time to live and
// checksum: no verdict depends on them.
void require_independent_of_other_fields(View frame, PacketType type, const Judgement& judgement,
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

void require_right_packet_type(View frame, PacketType type, const Judgement& judgement,
                               const VirtualIpTable& table) {
  const Judgement to_other = judge(frame, PacketType::kOtherHost, table);
  REQUIRE(verdict_of(to_other.reason) == Verdict::kNotOurs ||
          to_other.reason == Reason::kEthernetTruncated);
  if (type == PacketType::kOtherHost) {
    REQUIRE(is_same(judgement, to_other));
    return;
  }
  for (const PacketType own : {PacketType::kHost, PacketType::kBroadcast, PacketType::kMulticast}) {
    REQUIRE(is_same(judge(frame, own, table), judgement));
  }
}

// With every bucket at one of the nodes, exactly one of them takes a frame that has a bucket, and
// all of them say the same of any other frame.
void require_one_owner(View frame, PacketType type, const Judgement& judgement,
                       std::span<const VirtualIp> virtual_ips) {
  VirtualIpTable node;
  std::vector<VirtualIp> of_node(virtual_ips.begin(), virtual_ips.end());
  unsigned owners = 0;
  for (unsigned bucket = 1; bucket <= kMaxNodes; ++bucket) {
    for (VirtualIp& virtual_ip : of_node) {
      virtual_ip.local_mask = static_cast<std::uint16_t>(1u << (bucket - 1));
    }
    node.assign(of_node);
    const Judgement of_this = judge(frame, type, node);
    REQUIRE(of_this.bucket == judgement.bucket);
    if (has_bucket(judgement)) {
      REQUIRE(has_bucket(of_this));
      if (of_this.reason == Reason::kLocalBucket) ++owners;
    } else {
      REQUIRE(of_this.reason == judgement.reason);
    }
  }
  REQUIRE(owners == (has_bucket(judgement) ? 1u : 0u));
}

}  // namespace

void require_judge_invariants(View frame, PacketType type, std::span<const VirtualIp> virtual_ips) {
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
}

}  // namespace clusterip::test
