#include "test/kernel_way.h"

#include <algorithm>
#include <cstring>

#include "test/require.h"
#include "verdict/verdict.h"

namespace {

constexpr std::uint32_t kMaxOffset = 255;  // MAX_OFFSET of native/bpf/frame.h

struct Way {
  const clusterip_vip_table* table = nullptr;
  bool by_helper = false;
  std::size_t readable = 0;
};

const Way& way_of(const clusterip_frame* frame) { return *static_cast<const Way*>(frame->engine); }

}  // namespace

// The seam of the verdict (native/verdict/frame.h), and that the verdict keeps its side of it.
CLUSTERIP_INLINE bool clusterip_load(const clusterip_frame* frame, std::uint32_t offset, void* to,
                                     std::uint32_t size) {
  REQUIRE(std::uint64_t{offset} + size <= frame->length);
  const Way& way = way_of(frame);
  if (!way.by_helper && offset > kMaxOffset) return false;
  if (std::size_t{offset} + size > way.readable) return false;
  std::memcpy(to, frame->data + offset, size);
  return true;
}

CLUSTERIP_INLINE bool clusterip_find(const clusterip_frame* frame, std::uint32_t address_wire,
                                     clusterip_judgement* judgement) {
  const clusterip_vip_table* table = way_of(frame).table;
  const std::uint32_t index = clusterip_place_of(table, address_wire);
  if (index == CLUSTERIP_PLACES) return false;
  const std::uint64_t rule = clusterip_read_once(&table->places[index].words[0]);
  std::memcpy(&judgement->rule, &rule, sizeof rule);
  judgement->engine_word = clusterip_read_once(&table->places[index].words[1]);
  return true;
}

namespace clusterip::test {
namespace {

void judge_by(const KernelFrame& frame, std::uint32_t packet_type, Way way, Judgement& judgement) {
  const std::size_t direct = std::min(frame.linear, frame.octets.size());
  way.readable = way.by_helper ? frame.readable : direct;
  const clusterip_frame readable = {.data = frame.octets.data(),
                                    .end = frame.octets.data() + direct,
                                    .length = static_cast<std::uint32_t>(frame.octets.size()),
                                    .max_tags = kKernelTags,
                                    .follows_tags = way.by_helper,
                                    .is_merged = frame.is_merged,
                                    .engine = &way};
  clusterip_judge(&readable, packet_type, &judgement);
}

}  // namespace

unsigned bucket_of_flow(const clusterip_rule& rule, std::uint8_t protocol, std::uint32_t saddr_host,
                        std::uint32_t source_port, std::uint32_t destination_port) {
  const bool has_ports = clusterip_ports_offset(protocol) >= 0;
  const clusterip_port_words ports =
      has_ports ? clusterip_port_words{.source = source_port, .destination = destination_port}
                : clusterip_port_words{};
  return clusterip_bucket_of(saddr_host, ports, &rule);
}

Judgement judge_directly(const KernelFrame& frame, std::uint32_t packet_type,
                         const clusterip_vip_table& table) {
  Judgement judgement{};
  judge_by(frame, packet_type, {.table = &table}, judgement);
  return judgement;
}

// As clusterip_tc does: what the first attempt has left in the judgement stays there.
Judgement judge_kernel_way(const KernelFrame& frame, std::uint32_t packet_type,
                           const clusterip_vip_table& table) {
  Judgement judgement = judge_directly(frame, packet_type, table);
  if (judgement.reason == CLUSTERIP_UNREADABLE) {
    judge_by(frame, packet_type, {.table = &table, .by_helper = true}, judgement);
  }
  return judgement;
}

}  // namespace clusterip::test
