// Written by scripts/generate from src/core: do not edit.
#pragma once

#include <array>

#include "generated/facts.h"

namespace clusterip {

// The names that src/core/verdict.ts uses, by number; nullptr for a number without a reason.
inline constexpr std::array<const char*, REASON_COUNT> kReasonNames = {
    "local-bucket",
    "later-fragment",
    "icmp-inner-spi",
    "foreign-bucket",
    "not-ipv4",
    "vlan-tagged",
    "other-host",
    "other-address",
    "ethernet-truncated",
    "ipv4-truncated",
    "ipv4-version",
    "ipv4-header-length",
    "ipv4-total-length",
    "ports-truncated",
    "icmp-truncated",
    "icmp-inner-truncated",
    "icmp-inner-malformed",
    "icmp-inner-fragment",
    "icmp-other-flow",
    "icmp-unsolicited",
};

}  // namespace clusterip
