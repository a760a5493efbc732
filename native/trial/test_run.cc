#include "trial/test_run.h"

#include <bpf/bpf.h>

namespace clusterip {
namespace {

struct Counted {
  clusterip_nic_counters nic{};
  std::vector<clusterip_vip_counters> by_virtual_ip;
};

Result<Counted> count_all(const BpfMaps& maps) {
  Counted counted;
  const auto nic = maps.count_nic();
  if (const auto* error = std::get_if<SysError>(&nic)) return *error;
  counted.nic = std::get<0>(nic);
  const auto entries = maps.list();
  if (const auto* error = std::get_if<SysError>(&entries)) return *error;
  for (const BpfVirtualIp& entry : std::get<0>(entries)) {
    const auto counters = maps.count_virtual_ip(entry.address_wire);
    if (const auto* error = std::get_if<SysError>(&counters)) return *error;
    counted.by_virtual_ip.push_back(std::get<0>(counters));
  }
  return counted;
}

std::uint8_t bucket_between(const Counted& before, const Counted& after) noexcept {
  for (std::size_t i = 0; i < after.by_virtual_ip.size(); ++i) {
    for (std::size_t bucket = 0; bucket < CLUSTERIP_MAX_BUCKETS; ++bucket) {
      const clusterip_vip_counters& a = before.by_virtual_ip[i];
      const clusterip_vip_counters& b = after.by_virtual_ip[i];
      if (a.local[bucket].frames != b.local[bucket].frames ||
          a.foreign[bucket].frames != b.foreign[bucket].frames) {
        return static_cast<std::uint8_t>(bucket + 1);
      }
    }
  }
  return 0;
}

}  // namespace

Result<TestRun> test_run(const BpfDataplane& dataplane, bool is_xdp,
                         std::span<const std::uint8_t> frame) {
  const auto& loaded = dataplane.loaded();
  if (!loaded) return SysError{.call = "test run", .error = EBADF};
  const auto before = count_all(dataplane.maps());
  if (const auto* error = std::get_if<SysError>(&before)) return *error;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.repeat = 1;
  const Program& program = is_xdp ? loaded->xdp : loaded->tc;
  if (bpf_prog_test_run_opts(program.fd.get(), &options) != 0) {
    return last_error("BPF_PROG_TEST_RUN");
  }
  const auto after = count_all(dataplane.maps());
  if (const auto* error = std::get_if<SysError>(&after)) return *error;
  TestRun result{.action = options.retval};
  for (std::size_t reason = 0; reason < REASON_COUNT; ++reason) {
    if (std::get<0>(before).nic.by_reason[reason].frames ==
        std::get<0>(after).nic.by_reason[reason].frames) {
      continue;
    }
    result.reason = static_cast<int>(reason);
  }
  result.bucket = bucket_between(std::get<0>(before), std::get<0>(after));
  return result;
}

}  // namespace clusterip
