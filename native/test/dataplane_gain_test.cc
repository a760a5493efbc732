// A bucket gained counts for what arrives after the call, and for nothing that waits somewhere.
#include <memory>
#include <vector>

#include "test/dataplane_lab.h"

namespace clusterip::test {
namespace {

void set_policy(int policy) {
  const sched_param parameters{.sched_priority = 0};
  REQUIRE(::sched_setscheduler(0, policy, &parameters) == 0);
}

// Workers that run only when nobody else wants to, which they inherit. Where the sender has the
// same CPU, what it sends stays in the sockets until it waits for them.
std::unique_ptr<Dataplane> started_as_idle(std::size_t workers) {
  set_policy(SCHED_IDLE);
  auto dataplane = started(workers);
  set_policy(SCHED_OTHER);
  return dataplane;
}

// Frames that wait when a bucket is gained are judged by the old set, however they are read.
void check_gain_after_waiting(std::size_t workers, std::size_t payload, std::uint16_t count) {
  const OnCpu one{0};
  const auto dataplane = started_as_idle(workers);
  configure_tun();
  // Opened before the capture: what this one has seen, the capture has too.
  const Port witness("nic0");
  const Dataplane::Id nic = id_of(dataplane->add_nic());
  REQUIRE(!dataplane->open_nic(nic, index_of("nic0")));
  const Dataplane::Id virtual_ip = id_of(dataplane->add_virtual_ip(nic, settings(0), {}));
  const Port peer("peer0");
  const auto datagram = [payload](std::uint16_t port) {
    return ethernet(ipv4({.source = 0xc6336407}, udp(port, 80, Octets(payload, 1))));
  };
  std::uint64_t waited = 0;
  for (unsigned round = 0; round < 20; ++round) {
    for (std::uint16_t i = 0; i < count; ++i) CHECK(peer.send(datagram(3000 + i)));
    for (unsigned i = 0; i < count; ++i) REQUIRE(!witness.receive(kSoon).empty());
    CHECK(!dataplane->set_local(virtual_ip, 0xffff, {}));
    waited += count;
    CHECK_EQUAL(frames(buckets_of(*dataplane, virtual_ip).foreign), waited);
    CHECK_EQUAL(frames(buckets_of(*dataplane, virtual_ip).local), 0u);
    CHECK(!dataplane->set_local(virtual_ip, 0, {}));
  }
}

}  // namespace

TEST_WITH_WORKERS(gained_bucket_does_not_count_for_frames_that_wait) {
  if (const auto reason = enter_network()) SKIP(*reason);
  check_gain_after_waiting(workers, 1, 200);
}

// As large as merged ones, which are read a few at a time.
TEST_WITH_WORKERS(gained_bucket_does_not_count_for_large_frames_that_wait) {
  if (const auto reason = enter_network()) SKIP(*reason);
  REQUIRE(ip("link set nic0 mtu 12000"));
  REQUIRE(ip("link set peer0 mtu 12000"));
  check_gain_after_waiting(workers, 10000, 12);
}

// The same for frames that no socket has yet: they wait for another CPU than the sender's, which is
// to take them out of its backlog.
TEST_WITH_WORKERS(gained_bucket_does_not_count_for_frames_in_a_backlog) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  if (!receive_on_second_cpu("nic0")) SKIP("needs receive packet steering");
  constexpr std::uint16_t kCount = 200;
  const Served served = serve(0, workers);
  const Port peer("peer0");
  // They make the second CPU slower than the first.
  std::vector<std::unique_ptr<Port>> taps;
  for (unsigned i = 0; i < 40; ++i) taps.push_back(std::make_unique<Port>("nic0"));
  const OnCpu first{0};
  std::uint64_t sent = 0;
  for (unsigned round = 0; round < 30; ++round) {
    for (std::uint16_t i = 0; i < kCount; ++i) CHECK(peer.send(datagram_from(3000 + i)));
    CHECK(!served.dataplane->set_local(served.virtual_ip, 0xffff, {}));
    sent += kCount;
    const auto counters = counters_after(*served.dataplane, served.nic, sent);
    CHECK_EQUAL(with_reason(counters, REASON_FOREIGN_BUCKET), sent);
    CHECK(!served.dataplane->set_local(served.virtual_ip, 0, {}));
  }
}

}  // namespace clusterip::test
