#include "userspace/judge.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "verdict/verdict.h"

namespace {

// Read as a struct, the compiler takes from the frame those fields that are asked for.
struct [[gnu::packed, gnu::may_alias]] Unaligned {
  clusterip_ipv4_header header;
};

}  // namespace

// The seam of the verdict (native/verdict/frame.h): all of the frame lies in memory.
CLUSTERIP_INLINE bool clusterip_load(const clusterip_frame* frame, std::uint32_t offset, void* to,
                                     std::uint32_t size) {
  const std::uint8_t* from = frame->data + offset;
  if (size == sizeof(clusterip_ipv4_header)) {
    *static_cast<clusterip_ipv4_header*>(to) =
        static_cast<const Unaligned*>(static_cast<const void*>(from))->header;
  } else {
    std::memcpy(to, from, size);
  }
  return true;
}

CLUSTERIP_INLINE bool clusterip_find(const clusterip_frame* frame, std::uint32_t address_wire,
                                     clusterip_judgement* judgement) {
  const auto& table = *static_cast<const clusterip::VirtualIpTable*>(frame->engine);
  const clusterip::VirtualIp* found = table.find(clusterip_swap32(address_wire));
  if (found == nullptr) return false;
  judgement->rule = found->rule;
  judgement->engine_word = found->id;
  return true;
}

namespace clusterip {

void VirtualIpTable::assign(std::span<const VirtualIp> virtual_ips) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(virtual_ips.size() * 2, 2));
  slots_.assign(size, Slot{});
  mask_ = size - 1;
  shift_ = 32 - static_cast<unsigned>(std::countr_zero(size));
  for (const VirtualIp& virtual_ip : virtual_ips) {
    std::size_t slot = slot_of(virtual_ip.address_host);
    while (slots_[slot].used) slot = (slot + 1) & mask_;
    slots_[slot] = {.used = true, .virtual_ip = virtual_ip};
  }
}

Judgement judge(std::span<const std::uint8_t> frame, std::uint32_t packet_type,
                const VirtualIpTable& virtual_ips) noexcept {
  const clusterip_frame readable = {.data = frame.data(),
                                    .end = frame.data() + frame.size(),
                                    .length = static_cast<std::uint32_t>(frame.size()),
                                    .max_tags = std::numeric_limits<std::uint32_t>::max(),
                                    .follows_tags = true,
                                    .is_merged = false,
                                    .engine = &virtual_ips};
  // Not the caller's memory, which would be written and read again: these are registers.
  Judgement local{};
  clusterip_judge(&readable, packet_type, &local);
  return {.reason = local.reason,
          .ip_offset = local.ip_offset,
          .ip_length = local.ip_length,
          .payload_offset = local.payload_offset,
          .protocol = local.protocol,
          .bucket = local.bucket,
          .is_ours = local.is_ours,
          .by_inner_flow = local.by_inner_flow,
          .has_too_many_tags = local.has_too_many_tags,
          .rule = local.rule,
          .engine_word = local.engine_word};
}

}  // namespace clusterip
