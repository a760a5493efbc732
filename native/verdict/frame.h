// The seam between the verdict and an engine: how the verdict reads a frame, and how it learns what
// an address is here. The verdict (verdict.h) is C without a library, for BPF and for C++; it needs
// of an engine the two functions that are declared below and nothing else.
//
//     engine "bpf"         native/bpf/frame.h, native/bpf/maps.h
//     engine "userspace"   native/userspace/judge.cc
//     tests                native/test/kernel_way.cc
#pragma once

#include "verdict/judgement.h"

struct clusterip_frame {
  const uint8_t* data;  // at the Ethernet header
  const uint8_t* end;   // of the octets that lie behind `data`
  uint32_t length;      // of all of the frame, which may be more
  // A frame with more priority tags than this counts as tagged. The verifier wants a bound.
  uint32_t max_tags;
  // Without this a tagged frame is CLUSTERIP_UNREADABLE.
  bool follows_tags;
  bool is_merged;      // several frames of one connection as one
  const void* engine;  // the engine's own
};

// Of the engine. Copies `size` octets, a number that the compiler knows, from `offset`. The caller
// has checked that the frame has them: false means that they cannot be read in this way.
CLUSTERIP_INLINE bool clusterip_load(const struct clusterip_frame* frame, uint32_t offset, void* to,
                                     uint32_t size);

// Of the engine. Whether an address, as on the wire, is a virtual IP of the interface; then it sets
// `rule` and `engine_word`.
CLUSTERIP_INLINE bool clusterip_find(const struct clusterip_frame* frame, uint32_t address_wire,
                                     struct clusterip_judgement* judgement);

CLUSTERIP_INLINE bool clusterip_load_be16(const struct clusterip_frame* frame, uint32_t offset,
                                          uint16_t* value) {
  uint16_t wire;
  if (!clusterip_load(frame, offset, &wire, sizeof wire)) return false;
  *value = clusterip_swap16(wire);
  return true;
}
