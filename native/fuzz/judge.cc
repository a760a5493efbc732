// Any frame, with any settings: judge() reads nothing outside of it and keeps every invariant.
#include "fuzz/input.h"
#include "test/invariants.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  clusterip::fuzz::Input input(data, size);
  const clusterip::fuzz::Scene scene = clusterip::fuzz::read_scene(input);
  clusterip::test::require_judge_invariants(scene.frame, scene.type, scene.virtual_ips);
  return 0;
}
