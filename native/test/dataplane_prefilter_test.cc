// The prefilter in the kernel, its changes, and how what it passes is weighed.
#include <vector>

#include "test/dataplane_lab.h"

namespace clusterip::test {
TEST(prefilter_drops_in_the_kernel_and_weighs_what_it_passes) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0);
  const Port peer("peer0");
  const Prefilter all{.program = {kPassAll},
                      .foreign_weights = {{.address_host = kVip, .frames = 8}}};
  const Prefilter none{.program = {kDropAll}};
  CHECK(!served.dataplane->set_prefilter(served.nic, none, true));
  for (unsigned i = 0; i < 10; ++i) CHECK(peer.send(datagram_from(5000)));
  std::this_thread::sleep_for(kNever);
  CHECK_EQUAL(counters_of(*served.dataplane, served.nic).received.frames, 0u);
  CHECK(!served.dataplane->set_prefilter(served.nic, all, false));
  CHECK(peer.send(datagram_from(5000)));
  const NicCounters counters = counters_after(*served.dataplane, served.nic, 8);
  CHECK_EQUAL(counters.received.frames, 8u);
  CHECK_EQUAL(counters.received_variance.frames, 8.0 * 7);
  CHECK_EQUAL(frames(buckets_of(*served.dataplane, served.virtual_ip).foreign), 8u);
  check_sum(counters);
  CHECK_EQUAL(error_of(served.dataplane->set_prefilter(4242, all, false)), ENOENT);
}

TEST_WITH_WORKERS(prefilter_that_the_kernel_refuses_is_told_and_nothing_is_weighed) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0, workers);
  const Port peer("peer0");
  const Prefilter broken{.program = {{.code = 0xffff, .jt = 0, .jf = 0, .k = 0}},
                         .not_ours_weight = 8,
                         .foreign_weights = {{.address_host = kVip, .frames = 8}}};
  CHECK(!served.dataplane->set_prefilter(served.nic, broken, true));
  CHECK(peer.send(datagram_from(5000)));
  NicCounters counters = counters_after(*served.dataplane, served.nic, 1);
  CHECK_EQUAL(counters.prefilter_errno, EINVAL);
  CHECK_EQUAL(counters.received.frames, 1u);
  // It stays so when the capture is opened again.
  CHECK(!served.dataplane->open_nic(served.nic, index_of("nic0")));
  CHECK(peer.send(datagram_from(5000)));
  counters = counters_after(*served.dataplane, served.nic, 2);
  CHECK_EQUAL(counters.prefilter_errno, EINVAL);
  CHECK_EQUAL(counters.received.frames, 2u);
  check_sum(counters);
}

// Two of them are more than the socket may have, so the old one goes first: what passes until the
// new one is there has not been chosen by either.
TEST_WITH_WORKERS(prefilters_that_replace_each_other_weigh_nothing_in_between) {
  if (const auto reason = enter_network()) SKIP(*reason);
  set_sysctl("core/optmem_max", "20000");
  const Served served = serve(0, workers);
  Prefilter none{.not_ours_weight = 8, .foreign_weights = {{.address_host = kVip, .frames = 8}}};
  constexpr sock_filter kLoad{.code = BPF_LD | BPF_W | BPF_IMM, .jt = 0, .jf = 0, .k = 1};
  none.program.assign(1500, kLoad);
  none.program.push_back(kDropAll);
  CHECK(!served.dataplane->set_prefilter(served.nic, none, true));
  const auto before = counters_of(*served.dataplane, served.nic);
  Traffic traffic;
  for (unsigned i = 0; i < 300; ++i) {
    CHECK(!served.dataplane->set_prefilter(served.nic, none, i % 2 == 0));
  }
  (void)traffic.stop();
  const auto counters = counters_of(*served.dataplane, served.nic);
  CHECK_EQUAL(counters.prefilter_errno, 0);
  CHECK(counters.received.frames > before.received.frames);
  CHECK_EQUAL(counters.received_variance.frames, 0.0);
}

TEST_WITH_WORKERS(prefilters_change_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0, workers);
  const Prefilter all{.program = {kPassAll}};
  Traffic traffic;
  for (unsigned i = 0; i < 200; ++i) {
    CHECK(!served.dataplane->set_local(served.virtual_ip, i % 2 == 0 ? 0x000f : 0, all));
    CHECK(!served.dataplane->set_prefilter(served.nic, i % 3 == 0 ? Prefilter{} : all, i % 3 != 0));
  }
  // Nothing was dropped on purpose, so nothing may be missing.
  const std::uint64_t sent = traffic.stop();
  const NicCounters counters = counters_after(*served.dataplane, served.nic, sent);
  CHECK_EQUAL(counters.received.frames + counters.kernel_dropped, sent);
  check_sum(counters);
}

}  // namespace clusterip::test
