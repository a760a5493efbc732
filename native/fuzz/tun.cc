// The rewrite of an accepted frame for the TUN: any virtio_net_hdr before any accepted frame.
//
// The input is 10 octets of virtio_net_hdr, then what judge.cc reads.
#include "userspace/tun.h"

#include <array>
#include <cstring>
#include <memory>

#include "fuzz/input.h"
#include "test/require.h"
#include "userspace/vnet_header.h"

namespace {

using clusterip::Judgement;
using clusterip::VnetHeader;

void require_right_header(const VnetHeader& before, const VnetHeader& after, std::uint32_t shift) {
  REQUIRE(after.flags == before.flags);
  REQUIRE(after.gso_type == before.gso_type);
  REQUIRE(after.gso_size == before.gso_size);
  REQUIRE(after.csum_offset == before.csum_offset);
  const bool is_unfinished = (before.flags & clusterip::kVnetNeedsChecksum) != 0;
  REQUIRE(((before.csum_start - after.csum_start) & 0xffffu) == (is_unfinished ? shift : 0));
  const bool is_merged = before.gso_type != clusterip::kVnetGsoNone;
  REQUIRE(((before.hdr_len - after.hdr_len) & 0xffffu) == (is_merged ? shift : 0));
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  clusterip::fuzz::Input input(data, size);
  std::array<std::uint8_t, sizeof(VnetHeader)> header_octets{};
  for (std::uint8_t& octet : header_octets) octet = input.u8();
  const clusterip::fuzz::Scene scene = clusterip::fuzz::read_scene(input);
  clusterip::VirtualIpTable table;
  table.assign(scene.virtual_ips);
  const Judgement judgement = clusterip::judge(scene.frame, scene.type, table);
  if (!clusterip_is_accepted(judgement.reason)) return 0;

  // Exactly the octets that a capture has: one more and AddressSanitizer says so.
  const std::size_t total = sizeof(VnetHeader) + scene.frame.size();
  const auto buffer = std::make_unique<std::uint8_t[]>(total);
  std::copy(header_octets.begin(), header_octets.end(), buffer.get());
  std::copy(scene.frame.begin(), scene.frame.end(), buffer.get() + sizeof(VnetHeader));
  const std::span<std::uint8_t> frame(buffer.get() + sizeof(VnetHeader), scene.frame.size());

  const std::span<const std::uint8_t> message = clusterip::to_tun_message(frame, judgement);

  REQUIRE(message.data() >= buffer.get());
  REQUIRE(message.data() + message.size() <= buffer.get() + total);
  REQUIRE(message.size() == sizeof(VnetHeader) + judgement.ip_length);
  const auto packet = scene.frame.subspan(judgement.ip_offset, judgement.ip_length);
  REQUIRE(std::ranges::equal(message.subspan(sizeof(VnetHeader)), packet));
  VnetHeader before{};
  VnetHeader after{};
  std::memcpy(&before, header_octets.data(), sizeof before);
  std::memcpy(&after, message.data(), sizeof after);
  require_right_header(before, after, judgement.ip_offset);
  return 0;
}
