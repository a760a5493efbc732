// The verdict on one Ethernet frame, for both engines: a pure function of the frame and of the
// rules of the interface's virtual IPs. src/core/classify.ts is the specification, and tests hold
// one against the other.
//
//     frame.h      what an engine has to give, and what it gets
//     link.h       Ethernet and its tags        --> not ours
//     network.h    IPv4                         --> not ours, malformed, later fragments
//     transport.h  ports                        --> malformed
//     icmp.h       requests and errors          --> malformed, dropped
//     flow.h       the bucket of a flow         --> local or foreign
//     hash.h       the hash of the kernel target
//
// C that is also C++, without a library, and everything in it is inlined: for the kernel's verifier
// a program is one function.
#pragma once

#include "verdict/link.h"

// Sets judgement->reason, to CLUSTERIP_UNREADABLE when the frame has to be read in another way. The
// judgement is all zeros before.
CLUSTERIP_INLINE void clusterip_judge(const struct clusterip_frame* frame, uint32_t packet_type,
                                      struct clusterip_judgement* judgement) {
  judgement->reason = clusterip_judge_link(frame, packet_type, judgement);
}
