// Frames that have arrived but that no program has seen yet.
#pragma once

namespace clusterip {

// Returns when every frame that waits in the kernel's per-CPU backlogs now has been judged, at
// the latest after a few milliseconds. A bucket that is gained counts only for frames that
// arrive afterwards: the old owner has answered those before.
void settle_received_frames() noexcept;

}  // namespace clusterip
