// The verdict: one frame for every line of it. The same sentences are in src/core/verdict.ts.
#include <arpa/inet.h>

#include <memory>
#include <string>
#include <utility>

#include "generated/reason_names.h"
#include "loader/placement.h"
#include "test/invariants.h"
#include "test/kernel_way.h"
#include "test/packets.h"
#include "test/test.h"
#include "userspace/judge.h"
#include "verdict/hash.h"

namespace clusterip::test {
namespace {

constexpr std::uint16_t kAllLocal = 0xffff;

VirtualIp virtual_ip(clusterip_hash_mode mode = HASH_SOURCE_IP_SOURCE_PORT,
                     std::uint16_t local_mask = kAllLocal) {
  return {.address_host = kVip,
          .rule = {.hash_init = 0,
                   .local_mask = local_mask,
                   .hash_mode = static_cast<std::uint8_t>(mode),
                   .bucket_count = 4}};
}

Judgement judged(const Octets& frame, const VirtualIp& settings = virtual_ip(),
                 clusterip_packet_type type = PACKET_TYPE_MULTICAST) {
  static VirtualIpTable table;
  table.assign({&settings, 1});
  require_judge_invariants(frame, type, {&settings, 1});
  return judge(frame, type, table);
}

std::string reason(const Octets& frame, const VirtualIp& settings = virtual_ip(),
                   clusterip_packet_type type = PACKET_TYPE_MULTICAST) {
  return kReasonNames.at(static_cast<std::size_t>(judged(frame, settings, type).reason));
}

std::string packet_reason(const Octets& packet) { return reason(ethernet(packet)); }

std::string icmp_reason(const Octets& message, const VirtualIp& settings = virtual_ip()) {
  return reason(ethernet(ipv4({.protocol = IPPROTO_ICMP}, message)), settings);
}

// An ICMP error about a packet that the virtual IP sent.
Octets error_about(Ipv4 inner, const Octets& payload) {
  inner.source = kVip;
  inner.destination = kClient;
  return icmp(3, 4, ipv4(inner, payload));
}

Octets cut(Octets octets, std::size_t size) {
  octets.resize(size);
  return octets;
}

const Octets kDatagram = udp(40000, 80);

unsigned bucket_for(std::uint32_t saddr, clusterip_port_words ports, clusterip_hash_mode mode) {
  const clusterip_rule rule = virtual_ip(mode).rule;
  return clusterip_bucket_of(saddr, ports, &rule);
}

}  // namespace

TEST(verdict_of_every_reason) {
  const auto count = [](clusterip_verdict verdict) {
    unsigned found = 0;
    for (unsigned i = 0; i < REASON_COUNT; ++i) {
      if (clusterip_verdict_of(static_cast<clusterip_reason>(i)) == verdict) ++found;
    }
    return found;
  };
  CHECK_EQUAL(count(VERDICT_ACCEPT), 3u);
  CHECK_EQUAL(count(VERDICT_FOREIGN), 1u);
  CHECK_EQUAL(count(VERDICT_NOT_OURS), 4u);
  CHECK_EQUAL(count(VERDICT_MALFORMED), 9u);
  CHECK_EQUAL(count(VERDICT_DROP), 3u);
}

TEST(accepted_is_what_has_that_verdict) {
  for (unsigned i = 0; i < REASON_COUNT; ++i) {
    const auto reason = static_cast<clusterip_reason>(i);
    CHECK_EQUAL(clusterip_is_accepted(reason), clusterip_verdict_of(reason) == VERDICT_ACCEPT);
  }
}

TEST(local_bucket_is_accepted_whole_and_without_padding) {
  const Octets frame = padded(ethernet(ipv4({}, kDatagram)), 60);
  const Judgement judgement = judged(frame);
  CHECK_EQUAL(judgement.reason, REASON_LOCAL_BUCKET);
  CHECK_EQUAL(judgement.ip_offset, 14u);
  CHECK_EQUAL(judgement.ip_length, 28u);
  CHECK_EQUAL(judgement.bucket, bucket_for(kClient, {0x409c, 0x5000}, HASH_SOURCE_IP_SOURCE_PORT));
}

TEST(foreign_bucket_is_not_accepted) {
  const Octets frame = ethernet(ipv4({}, kDatagram));
  const unsigned bucket = judged(frame).bucket;
  for (unsigned local = 1; local <= 4; ++local) {
    const auto mask = static_cast<std::uint16_t>(1u << (local - 1));
    const VirtualIp settings = virtual_ip(HASH_SOURCE_IP_SOURCE_PORT, mask);
    CHECK_EQUAL(reason(frame, settings), local == bucket ? "local-bucket" : "foreign-bucket");
  }
}

TEST(each_hash_mode_takes_its_words) {
  for (const clusterip_hash_mode mode :
       {HASH_SOURCE_IP, HASH_SOURCE_IP_SOURCE_PORT, HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT}) {
    for (std::uint16_t port = 1000; port < 1100; ++port) {
      const Judgement judgement = judged(ethernet(ipv4({}, udp(port, 4660))), virtual_ip(mode));
      const auto word = static_cast<std::uint32_t>(((port & 0xff) << 8) | (port >> 8));
      CHECK_EQUAL(judgement.bucket, bucket_for(kClient, {word, 0x3412}, mode));
    }
  }
}

TEST(ports_are_found_behind_ip_options) {
  const Octets plain = ethernet(ipv4({.protocol = IPPROTO_TCP}, tcp(40000, 80)));
  const Octets behind =
      ethernet(ipv4({.protocol = IPPROTO_TCP, .options = Octets(40, 1)}, tcp(40000, 80)));
  CHECK_EQUAL(judged(behind).bucket, judged(plain).bucket);
}

TEST(protocols_without_ports_hash_as_0_and_0) {
  for (const int protocol : {4, 47, 253}) {
    const Ipv4 header{.protocol = static_cast<std::uint8_t>(protocol)};
    CHECK_EQUAL(judged(ethernet(ipv4(header, {}))).bucket,
                bucket_for(kClient, {}, HASH_SOURCE_IP_SOURCE_PORT));
  }
}

TEST(ah_has_its_spi_behind_four_octets) {
  const Ipv4 header{.protocol = IPPROTO_AH};
  const Judgement judgement = judged(ethernet(ipv4(header, {6, 4, 0, 0, 0x9c, 0x40, 0x00, 0x50})));
  CHECK_EQUAL(judgement.bucket, bucket_for(kClient, {0x409c, 0x5000}, HASH_SOURCE_IP_SOURCE_PORT));
  CHECK_EQUAL(packet_reason(ipv4(header, {6, 4, 0, 0, 0x9c, 0x40, 0x00})), "ports-truncated");
}

TEST(fragments) {
  CHECK_EQUAL(packet_reason(ipv4({.fragment = kMoreFragments}, kDatagram)), "local-bucket");
  const VirtualIp nothing_local = virtual_ip(HASH_SOURCE_IP_SOURCE_PORT, 0);
  const Octets later = ethernet(ipv4({.fragment = 1}, {1, 2, 3, 4, 5, 6, 7, 8}));
  CHECK_EQUAL(reason(later, nothing_local), "later-fragment");
  CHECK_EQUAL(judged(later, nothing_local).ip_length, 28u);
  CHECK_EQUAL(packet_reason(ipv4({.fragment = kMoreFragments | 0x1fff}, {})), "later-fragment");
}

TEST(frames_that_are_not_ours) {
  const Octets frame = ethernet(ipv4({}, kDatagram));
  CHECK_EQUAL(reason(ethernet(ipv4({}, kDatagram), 0x86dd)), "not-ipv4");
  CHECK_EQUAL(reason(tagged(frame, 7)), "vlan-tagged");
  CHECK_EQUAL(reason(tagged(frame, 7, 0x88a8)), "vlan-tagged");
  CHECK_EQUAL(reason(tagged(tagged(frame, 7), 0)), "vlan-tagged");
  CHECK_EQUAL(reason(frame, virtual_ip(), PACKET_TYPE_OTHER_HOST), "other-host");
  CHECK_EQUAL(packet_reason(ipv4({.destination = kVip + 1}, kDatagram)), "other-address");
}

TEST(vlan_0_is_only_a_priority) {
  const Octets frame = ethernet(ipv4({}, kDatagram));
  CHECK_EQUAL(reason(tagged(frame, 0xe000)), "local-bucket");
  CHECK_EQUAL(judged(tagged(frame, 0)).ip_offset, 18u);
  CHECK_EQUAL(judged(tagged(tagged(frame, 0), 0, 0x88a8)).ip_offset, 22u);
}

TEST(every_packet_type_but_other_host_is_judged) {
  const Octets frame = ethernet(ipv4({}, kDatagram));
  for (const clusterip_packet_type type :
       {PACKET_TYPE_HOST, PACKET_TYPE_BROADCAST, PACKET_TYPE_MULTICAST}) {
    CHECK_EQUAL(reason(frame, virtual_ip(), type), "local-bucket");
  }
}

TEST(frames_that_end_early) {
  const Octets frame = ethernet(ipv4({}, kDatagram));
  for (std::size_t size = 0; size < frame.size(); ++size) {
    CHECK_EQUAL(reason(cut(frame, size)), size < 14   ? "ethernet-truncated"
                                          : size < 34 ? "ipv4-truncated"
                                                      : "ipv4-total-length");
  }
  const Octets with_tag = tagged(frame, 0);
  for (std::size_t size = 14; size < 18; ++size) {
    CHECK_EQUAL(reason(cut(with_tag, size)), "ethernet-truncated");
  }
}

TEST(ipv4_headers_that_lie) {
  Octets version = ipv4({}, kDatagram);
  version[0] = 0x55;
  CHECK_EQUAL(packet_reason(version), "ipv4-version");
  Octets short_header = ipv4({}, kDatagram);
  short_header[0] = 0x44;
  CHECK_EQUAL(packet_reason(short_header), "ipv4-header-length");
  Octets long_header = ipv4({}, {});
  long_header[0] = 0x46;
  CHECK_EQUAL(packet_reason(long_header), "ipv4-header-length");
  Octets small_total = ipv4({}, kDatagram);
  set16(small_total, 2, 19);
  CHECK_EQUAL(packet_reason(small_total), "ipv4-header-length");
  Octets large_total = ipv4({}, kDatagram);
  set16(large_total, 2, 29);
  CHECK_EQUAL(packet_reason(large_total), "ipv4-total-length");
}

TEST(packets_that_end_before_their_ports) {
  for (std::size_t size = 0; size < 4; ++size) {
    CHECK_EQUAL(packet_reason(ipv4({}, Octets(size))), "ports-truncated");
  }
  CHECK_EQUAL(packet_reason(ipv4({}, Octets(4))), "local-bucket");
  // Padding is not part of the packet: there are no ports in it.
  CHECK_EQUAL(reason(padded(ethernet(ipv4({}, {})), 60)), "ports-truncated");
}

TEST(icmp_types) {
  for (unsigned type = 0; type < 256; ++type) {
    const bool is_request = type == 8 || type == 13 || type == 15 || type == 17;
    const bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    CHECK_EQUAL(icmp_reason(icmp(static_cast<std::uint8_t>(type), 0)), is_request ? "local-bucket"
                                                                       : is_error
                                                                           ? "icmp-inner-truncated"
                                                                           : "icmp-unsolicited");
  }
  CHECK_EQUAL(icmp_reason(cut(icmp(8, 0), 7)), "icmp-truncated");
}

TEST(icmp_error_has_the_bucket_of_the_flow_inside) {
  for (const clusterip_hash_mode mode :
       {HASH_SOURCE_IP, HASH_SOURCE_IP_SOURCE_PORT, HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT}) {
    for (std::uint16_t port = 2000; port < 2100; ++port) {
      const unsigned of_flow = judged(ethernet(ipv4({}, udp(port, 80))), virtual_ip(mode)).bucket;
      const Octets error = ethernet(
          ipv4({.protocol = IPPROTO_ICMP, .source = 0x0a000001}, error_about({}, udp(80, port))));
      CHECK_EQUAL(judged(error, virtual_ip(mode)).bucket, of_flow);
    }
  }
}

TEST(icmp_errors_with_other_things_inside) {
  const Octets answer = udp(80, 40000);
  CHECK_EQUAL(icmp_reason(error_about({}, answer)), "local-bucket");
  CHECK_EQUAL(icmp_reason(error_about({.options = Octets(8, 1)}, answer)), "local-bucket");
  CHECK_EQUAL(icmp_reason(error_about({.protocol = IPPROTO_ICMP}, {})), "local-bucket");
  CHECK_EQUAL(icmp_reason(error_about({.protocol = IPPROTO_ESP}, answer)), "icmp-inner-spi");
  CHECK_EQUAL(icmp_reason(error_about({.protocol = IPPROTO_AH}, answer)), "icmp-inner-spi");
  CHECK_EQUAL(icmp_reason(error_about({.protocol = IPPROTO_ESP}, {}), virtual_ip(HASH_SOURCE_IP)),
              "local-bucket");
  CHECK_EQUAL(icmp_reason(error_about({.fragment = 5}, answer)), "icmp-inner-fragment");
  CHECK_EQUAL(icmp_reason(icmp(3, 4, ipv4({}, answer))), "icmp-other-flow");
  CHECK_EQUAL(icmp_reason(error_about({}, Octets(3))), "icmp-inner-truncated");
  CHECK_EQUAL(icmp_reason(error_about({.options = Octets(8, 1)}, Octets(3))),
              "icmp-inner-truncated");
  CHECK_EQUAL(icmp_reason(cut(error_about({}, answer), 8 + 19)), "icmp-inner-truncated");
  Octets version = error_about({}, answer);
  version[8] = 0x65;
  CHECK_EQUAL(icmp_reason(version), "icmp-inner-malformed");
  Octets short_header = error_about({}, answer);
  short_header[8] = 0x44;
  CHECK_EQUAL(icmp_reason(short_header), "icmp-inner-malformed");
}

// The ways of the kernel that the frames of the verdict table do not take.
TEST(the_kernel_way_reads_directly_or_by_helper) {
  const auto table = std::make_unique<clusterip_vip_table>();
  BpfVirtualIp entry{.address_wire = htonl(kVip), .settings = {}};
  entry.settings.rule = virtual_ip().rule;
  CHECK(write_place(*table, entry));
  const auto directly = [&](const Octets& frame, std::size_t linear) {
    return judge_directly({.octets = frame, .linear = linear}, PACKET_TYPE_HOST, *table).reason;
  };
  const auto whole = [&](const Octets& frame, std::size_t linear) {
    return judge_kernel_way({.octets = frame, .linear = linear}, PACKET_TYPE_HOST, *table).reason;
  };
  const Octets plain = ethernet(ipv4({}, kDatagram));
  const Octets error = ethernet(ipv4({.protocol = IPPROTO_ICMP}, error_about({}, udp(80, 40000))));
  for (const Octets& frame : {plain, error}) {
    for (std::size_t linear = 0; linear <= frame.size(); ++linear) {
      CHECK_EQUAL(whole(frame, linear), REASON_LOCAL_BUCKET);
    }
  }
  CHECK_EQUAL(directly(plain, 13), CLUSTERIP_UNREADABLE);
  CHECK_EQUAL(directly(plain, 33), CLUSTERIP_UNREADABLE);
  CHECK_EQUAL(directly(plain, 37), CLUSTERIP_UNREADABLE);
  CHECK_EQUAL(directly(plain, 38), REASON_LOCAL_BUCKET);
  CHECK_EQUAL(directly(error, 34), CLUSTERIP_UNREADABLE);
  CHECK_EQUAL(directly(error, 42), CLUSTERIP_UNREADABLE);
  CHECK_EQUAL(directly(error, 62), CLUSTERIP_UNREADABLE);
  CHECK_EQUAL(directly(error, 66), REASON_LOCAL_BUCKET);
}

TEST(the_kernel_way_follows_four_tags) {
  const auto table = std::make_unique<clusterip_vip_table>();
  BpfVirtualIp entry{.address_wire = htonl(kVip), .settings = {}};
  entry.settings.rule = virtual_ip().rule;
  CHECK(write_place(*table, entry));
  Octets frame = ethernet(ipv4({}, kDatagram));
  for (unsigned tags = 0; tags < 8; ++tags) {
    const KernelFrame kernel_frame{.octets = frame, .linear = frame.size()};
    const Judgement judgement = judge_kernel_way(kernel_frame, PACKET_TYPE_HOST, *table);
    CHECK_EQUAL(judgement.has_too_many_tags, tags > kKernelTags);
    CHECK_EQUAL(judgement.reason, tags > kKernelTags ? REASON_VLAN_TAGGED : REASON_LOCAL_BUCKET);
    const auto direct = judge_directly(kernel_frame, PACKET_TYPE_HOST, *table).reason;
    CHECK_EQUAL(direct, tags > 0 ? CLUSTERIP_UNREADABLE : REASON_LOCAL_BUCKET);
    // Engine userspace has no bound.
    CHECK_EQUAL(judged(frame).reason, REASON_LOCAL_BUCKET);
    frame = tagged(frame, 0);
  }
}

TEST(what_the_helper_cannot_read_has_no_verdict) {
  const auto table = std::make_unique<clusterip_vip_table>();
  BpfVirtualIp entry{.address_wire = htonl(kVip), .settings = {}};
  entry.settings.rule = virtual_ip().rule;
  CHECK(write_place(*table, entry));
  const Octets frame = tagged(tagged(ethernet(ipv4({}, kDatagram)), 0), 0);
  const std::size_t ports_end = 14 + 2 * 4 + 20 + 4;
  for (std::size_t readable = 0; readable <= frame.size(); ++readable) {
    const KernelFrame kernel_frame{.octets = frame, .linear = 0, .readable = readable};
    const auto reason = judge_kernel_way(kernel_frame, PACKET_TYPE_HOST, *table).reason;
    CHECK_EQUAL(reason, readable < ports_end ? CLUSTERIP_UNREADABLE : REASON_LOCAL_BUCKET);
  }
}

TEST(a_merged_frame_without_a_total_length_is_as_long_as_it_is) {
  const auto table = std::make_unique<clusterip_vip_table>();
  BpfVirtualIp entry{.address_wire = htonl(kVip), .settings = {}};
  entry.settings.rule = virtual_ip().rule;
  CHECK(write_place(*table, entry));
  Octets packet = ipv4({.protocol = IPPROTO_TCP}, tcp(40000, 80));
  set16(packet, 2, 0);
  const Octets frame = ethernet(packet);
  for (const bool is_merged : {false, true}) {
    const Judgement judgement =
        judge_kernel_way({.octets = frame, .linear = frame.size(), .is_merged = is_merged},
                         PACKET_TYPE_HOST, *table);
    CHECK_EQUAL(judgement.reason, is_merged ? REASON_LOCAL_BUCKET : REASON_IPV4_HEADER_LENGTH);
  }
  // One that has a total length is no longer than that.
  const Octets padded_frame = padded(ethernet(ipv4({}, {})), 60);
  CHECK_EQUAL(judge_kernel_way({.octets = padded_frame, .linear = 60, .is_merged = true},
                               PACKET_TYPE_HOST, *table)
                  .reason,
              REASON_PORTS_TRUNCATED);
}

TEST(table_finds_each_of_many_and_nothing_else) {
  for (const std::uint32_t step : {1u, 256u, 65536u, 0x01000000u}) {
    for (const std::uint32_t count : {0u, 1u, 2u, 3u, 100u, 255u}) {
      std::vector<VirtualIp> virtual_ips(count);
      for (std::uint32_t i = 0; i < count; ++i) {
        virtual_ips[i].address_host = kVip + i * step;
        virtual_ips[i].id = i;
      }
      VirtualIpTable table;
      table.assign(virtual_ips);
      for (std::uint32_t i = 0; i < count; ++i) {
        const VirtualIp* found = table.find(kVip + i * step);
        CHECK(found != nullptr && found->id == i);
      }
      CHECK(table.find(kVip + count * step) == nullptr);
      CHECK(table.find(0) == nullptr);
    }
  }
}

TEST(table_forgets_what_was_there_before) {
  VirtualIpTable table;
  const VirtualIp settings = virtual_ip();
  table.assign({&settings, 1});
  CHECK(table.find(kVip) != nullptr);
  table.assign({});
  CHECK(table.find(kVip) == nullptr);
}

}  // namespace clusterip::test
