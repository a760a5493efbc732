// The whole packet path with its worker threads, in a network namespace. Under ThreadSanitizer this
// is about the hand-over of jobs between the control side and the workers.
#include "userspace/dataplane.h"

#include <pthread.h>

#include <chrono>
#include <future>

#include "test/dataplane_lab.h"

namespace clusterip::test {
TEST_WITH_WORKERS(dataplane_starts_once) {
  if (const auto reason = enter_network()) SKIP(*reason);
  {
    const auto first = started(workers);
    const auto second = Dataplane::start(kTunName, workers);
    CHECK(std::holds_alternative<SysError>(second));
    CHECK_EQUAL(std::get<SysError>(second).error, EBUSY);
  }
  CHECK_EQUAL(index_of(kTunName), 0);
  (void)started(workers);
}

// More than there is address space: no thread of default size can be made.
TEST_WITH_WORKERS(dataplane_without_threads_does_not_start) {
  if (const auto reason = enter_network()) SKIP(*reason);
  pthread_attr_t before;
  pthread_attr_t attributes;
  REQUIRE(::pthread_getattr_default_np(&before) == 0);
  REQUIRE(::pthread_attr_init(&attributes) == 0);
  REQUIRE(::pthread_attr_setstacksize(&attributes, std::size_t{1} << 60) == 0);
  REQUIRE(::pthread_setattr_default_np(&attributes) == 0);
  const auto refused = Dataplane::start(kTunName, workers);
  REQUIRE(::pthread_setattr_default_np(&before) == 0);
  REQUIRE(std::holds_alternative<SysError>(refused));
  CHECK_EQUAL(std::get<SysError>(refused).error, EAGAIN);
  CHECK_EQUAL(index_of(kTunName), 0);
  (void)started(workers);
}

TEST(dataplane_refuses_what_it_does_not_know) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const auto dataplane = started();
  const Dataplane::Id nic = id_of(dataplane->add_nic());
  CHECK_EQUAL(error_of(dataplane->open_nic(nic, 4242)), ENODEV);
  CHECK_EQUAL(error_of(dataplane->open_nic(nic + 1, index_of("nic0"))), ENOENT);
  CHECK_EQUAL(error_of(dataplane->add_virtual_ip(nic + 1, settings(1), {})), ENOENT);
  CHECK_EQUAL(error_of(dataplane->set_local(4242, 1, {})), ENOENT);
  CHECK(std::holds_alternative<SysError>(dataplane->nic_counters(4242)));
  CHECK(std::holds_alternative<SysError>(dataplane->virtual_ip_counters(4242)));
  CHECK_EQUAL(error_of(dataplane->close_nic(4242)), 0);
  CHECK_EQUAL(error_of(dataplane->remove_nic(4242)), 0);
  CHECK_EQUAL(error_of(dataplane->remove_virtual_ip(4242, {})), 0);
  CHECK_EQUAL(error_of(dataplane->reopen_tun(kTunName)), EBUSY);
  for (const std::size_t workers : {std::size_t{0}, Dataplane::kMaxWorkers + 1}) {
    const auto refused = Dataplane::start("clusterip9", workers);
    REQUIRE(std::holds_alternative<SysError>(refused));
    CHECK_EQUAL(std::get<SysError>(refused).error, EINVAL);
  }
}

TEST_WITH_WORKERS(dataplane_subscribes_while_it_serves) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(1, workers);
  CHECK(is_subscribed(kMacDigits));
  CHECK(!served.dataplane->close_nic(served.nic));
  CHECK(!is_subscribed(kMacDigits));
  CHECK(!served.dataplane->open_nic(served.nic, index_of("nic0")));
  CHECK(is_subscribed(kMacDigits));
  // Two virtual IPs may share a cluster MAC.
  VirtualIpSettings other = settings(1);
  other.address_host += 1;
  const Dataplane::Id second = id_of(served.dataplane->add_virtual_ip(served.nic, other, {}));
  CHECK(!served.dataplane->remove_virtual_ip(served.virtual_ip, {}));
  CHECK(is_subscribed(kMacDigits));
  CHECK(!served.dataplane->remove_virtual_ip(second, {}));
  CHECK(!is_subscribed(kMacDigits));
}

TEST_WITH_WORKERS(dataplane_delivers_own_buckets_and_counts_all) {
  if (const auto reason = enter_network()) SKIP(*reason);
  constexpr std::uint16_t kMask = 0b0101;
  constexpr std::uint16_t kFirst = 2000;
  constexpr std::uint16_t kCount = 200;
  const Served served = serve(kMask, workers);
  const Port peer("peer0");
  const UdpServer server(80);
  std::array<std::uint64_t, CLUSTERIP_MAX_BUCKETS> expected{};
  unsigned own = 0;
  for (std::uint16_t i = 0; i < kCount; ++i) {
    const unsigned bucket = bucket_of_port(kFirst + i);
    ++expected.at(bucket - 1);
    CHECK(peer.send(datagram_from(kFirst + i, static_cast<std::uint8_t>(i))));
    if (!is_local(bucket, kMask)) continue;
    ++own;
    CHECK(server.receive(kSoon) == Octets({static_cast<std::uint8_t>(i)}));
  }
  CHECK(server.receive(kNever).empty());
  const NicCounters counters = counters_after(*served.dataplane, served.nic, kCount);
  CHECK_EQUAL(counters.received.frames, kCount);
  CHECK_EQUAL(counters.received.bytes, kCount * datagram_from(0).size());
  CHECK_EQUAL(with_reason(counters, REASON_LOCAL_BUCKET), own);
  CHECK_EQUAL(with_reason(counters, REASON_FOREIGN_BUCKET), kCount - own);
  check_sum(counters);
  const VirtualIpCounters buckets = buckets_of(*served.dataplane, served.virtual_ip);
  for (unsigned bucket = 1; bucket <= CLUSTERIP_MAX_BUCKETS; ++bucket) {
    const bool local = is_local(bucket, kMask);
    const std::uint64_t of_bucket = expected.at(bucket - 1);
    CHECK_EQUAL(buckets.local.at(bucket - 1).frames, local ? of_bucket : 0);
    CHECK_EQUAL(buckets.foreign.at(bucket - 1).frames, local ? 0 : of_bucket);
  }
}

TEST(dataplane_sorts_every_kind_of_frame) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff);
  const Port peer("peer0");
  const Port tap(kTunName);
  const Octets fragment = ipv4({.source = 0xc6336407, .fragment = 3}, Octets(16, 9));
  const Octets datagram = ipv4({.source = 0xc6336407}, udp(9, 80, {7}));
  CHECK(peer.send(padded(ethernet(datagram), 60)));
  CHECK(tap.receive(kSoon) == datagram);
  CHECK(peer.send(padded(tagged(ethernet(datagram), 0), 64)));  // the kernel takes this tag off
  CHECK(tap.receive(kSoon) == datagram);
  CHECK(peer.send(ethernet(fragment)));
  CHECK(tap.receive(kSoon) == fragment);
  CHECK(peer.send(tagged(ethernet(datagram), 7)));
  CHECK(peer.send(ethernet(datagram, 0x86dd)));
  CHECK(peer.send(ethernet(ipv4({.destination = kVip + 9}, udp(9, 80)))));
  CHECK(peer.send(ethernet(ipv4({.protocol = IPPROTO_ICMP}, icmp(0, 0)))));
  CHECK(tap.receive(kNever).empty());
  const NicCounters counters = counters_after(*served.dataplane, served.nic, 7);
  CHECK_EQUAL(counters.received.frames, 7u);
  CHECK_EQUAL(with_reason(counters, REASON_LOCAL_BUCKET), 2u);
  CHECK_EQUAL(with_reason(counters, REASON_LATER_FRAGMENT), 1u);
  CHECK_EQUAL(with_reason(counters, REASON_VLAN_TAGGED), 1u);
  CHECK_EQUAL(with_reason(counters, REASON_NOT_IPV4), 1u);
  CHECK_EQUAL(with_reason(counters, REASON_OTHER_ADDRESS), 1u);
  CHECK_EQUAL(with_reason(counters, REASON_ICMP_UNSOLICITED), 1u);
  CHECK_EQUAL(buckets_of(*served.dataplane, served.virtual_ip).without_bucket.frames, 1u);
  check_sum(counters);
}

TEST_WITH_WORKERS(dataplane_counts_what_the_tun_refuses_and_takes_a_new_one) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff, workers);
  const Port peer("peer0");
  REQUIRE(ip(std::string("link set ") + kTunName + " down"));
  {
    // By another worker than the next one, where there are several workers and CPUs.
    const OnCpu second{1};
    CHECK(peer.send(datagram_from(1)));
  }
  NicCounters counters = counters_after(*served.dataplane, served.nic, 1);
  CHECK_EQUAL(counters.by_drop[DROP_DELIVERY_FAILED].frames, 1u);
  CHECK_EQUAL(counters.last_delivery_error.number, EIO);
  REQUIRE(ip(std::string("link del ") + kTunName));
  const OnCpu first{0};
  CHECK(peer.send(datagram_from(1)));
  counters = counters_after(*served.dataplane, served.nic, 2);
  CHECK_EQUAL(counters.by_drop[DROP_DELIVERY_FAILED].frames, 2u);
  CHECK_EQUAL(counters.last_delivery_error.number, EBADFD);
  CHECK(!served.dataplane->reopen_tun(kTunName));
  configure_tun();
  const UdpServer server(80);
  CHECK(peer.send(datagram_from(1, 5)));
  CHECK(server.receive(kSoon) == Octets({5}));
  check_sum(counters_of(*served.dataplane, served.nic));
}

TEST_WITH_WORKERS(address_that_comes_again_is_served_once) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff, workers);
  const Port peer("peer0");
  CHECK(peer.send(datagram_from(2000)));
  (void)counters_after(*served.dataplane, served.nic, 1);
  // Many times: with two of one address chance decides which one answers.
  Dataplane::Id last = served.virtual_ip;
  VirtualIpSettings next = settings(0xffff);
  for (std::uint8_t i = 0; i < 20; ++i) {
    next.cluster_mac.back() = static_cast<std::uint8_t>(0x22 + i / 10);
    last = id_of(served.dataplane->add_virtual_ip(served.nic, next, {}));
    CHECK_EQUAL(error_of(served.dataplane->set_local(last - 1, 0xffff, {})), ENOENT);
  }
  CHECK(!is_subscribed(kMacDigits));
  CHECK(!is_subscribed("d1d85acccc22"));
  CHECK(is_subscribed("d1d85acccc23"));
  CHECK(!served.dataplane->set_local(last, 0, {}));
  CHECK(peer.send(datagram_from(2000)));
  const NicCounters counters = counters_after(*served.dataplane, served.nic, 2);
  CHECK_EQUAL(with_reason(counters, REASON_LOCAL_BUCKET), 1u);
  CHECK_EQUAL(with_reason(counters, REASON_FOREIGN_BUCKET), 1u);
  // Counters go on.
  CHECK_EQUAL(frames(buckets_of(*served.dataplane, last).local), 1u);
  CHECK(!served.dataplane->remove_virtual_ip(last, {}));
  CHECK(!is_subscribed("d1d85acccc23"));
}

TEST_WITH_WORKERS(buckets_move_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0, workers);
  Traffic traffic;
  for (unsigned i = 0; i < 500; ++i) {
    CHECK(!served.dataplane->set_local(served.virtual_ip, static_cast<std::uint16_t>(i), {}));
    if (i % 10 == 0) check_sum(counters_of(*served.dataplane, served.nic));
  }
  const std::uint64_t sent = traffic.stop();
  const NicCounters counters = counters_after(*served.dataplane, served.nic, sent);
  CHECK(sent > 0);
  CHECK_EQUAL(counters.received.frames + counters.kernel_dropped, sent);
  check_sum(counters);
  const VirtualIpCounters buckets = buckets_of(*served.dataplane, served.virtual_ip);
  CHECK_EQUAL(frames(buckets.local) + frames(buckets.foreign) +
                  counters.by_drop[DROP_DELIVERY_FAILED].frames,
              counters.received.frames);
}

TEST_WITH_WORKERS(virtual_ips_come_and_go_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff, workers);
  Traffic traffic;
  std::vector<Dataplane::Id> others;
  for (std::uint32_t i = 1; i <= 100; ++i) {
    VirtualIpSettings other = settings(0xffff);
    other.address_host += i;
    others.push_back(id_of(served.dataplane->add_virtual_ip(served.nic, other, {})));
  }
  for (const Dataplane::Id id : others) CHECK(!served.dataplane->remove_virtual_ip(id, {}));
  CHECK(!served.dataplane->remove_virtual_ip(served.virtual_ip, {}));
  (void)traffic.stop();
  const NicCounters counters = counters_of(*served.dataplane, served.nic);
  check_sum(counters);
  CHECK(with_reason(counters, REASON_LOCAL_BUCKET) > 0);
}

TEST_WITH_WORKERS(nics_come_and_go_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff, workers);
  Traffic traffic;
  for (unsigned i = 0; i < 50; ++i) {
    CHECK(!served.dataplane->close_nic(served.nic));
    CHECK(!served.dataplane->open_nic(served.nic, index_of("nic0")));
    CHECK(!served.dataplane->open_nic(served.nic, index_of("nic0")));  // once more, in its place
    const Dataplane::Id other = id_of(served.dataplane->add_nic());
    CHECK(!served.dataplane->open_nic(other, index_of("peer0")));
    (void)id_of(served.dataplane->add_virtual_ip(other, settings(1), {}));
    CHECK(!served.dataplane->remove_nic(other));
  }
  (void)traffic.stop();
  check_sum(counters_of(*served.dataplane, served.nic));
}

TEST_WITH_WORKERS(device_disappears_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff, workers);
  Traffic traffic;
  REQUIRE(ip("link set nic0 down"));
  raise_cable();
  std::this_thread::sleep_for(milliseconds(20));
  REQUIRE(ip("link del nic0"));
  check_sum(counters_of(*served.dataplane, served.nic));
  CHECK(!served.dataplane->remove_virtual_ip(served.virtual_ip, {}));
  CHECK(!served.dataplane->close_nic(served.nic));
  (void)traffic.stop();
}

TEST_WITH_WORKERS(capture_of_a_device_that_left_and_came_back_is_stale) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0, workers);
  const int ifindex = index_of("nic0");
  CHECK(!counters_of(*served.dataplane, served.nic).is_capture_stale);
  REQUIRE(ip("link set nic0 down"));
  CHECK(!counters_of(*served.dataplane, served.nic).is_capture_stale);
  std::promise<pid_t> there;
  std::promise<void> moved;
  std::thread elsewhere([&, here = ::gettid()] {
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    there.set_value(::gettid());
    moved.get_future().wait();
    REQUIRE(ip("link set nic0 netns " + std::to_string(here)));
  });
  REQUIRE(ip("link set nic0 netns " + std::to_string(there.get_future().get())));
  moved.set_value();
  elsewhere.join();
  raise_cable();
  REQUIRE(index_of("nic0") == ifindex);
  CHECK(counters_of(*served.dataplane, served.nic).is_capture_stale);
  CHECK(!served.dataplane->open_nic(served.nic, ifindex));
  CHECK(!counters_of(*served.dataplane, served.nic).is_capture_stale);
  CHECK(Port("peer0").send(datagram_from(1)));
  CHECK_EQUAL(counters_after(*served.dataplane, served.nic, 1).received.frames, 1u);
}

// One worker has all frames until the link is up and the capture is opened again.
TEST(capture_cannot_be_shared_while_the_link_is_down) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  const OldFanout old;
  REQUIRE(ip("link set nic0 down"));
  const Served served = serve(0xffff, 3);
  CHECK(!counters_of(*served.dataplane, served.nic).is_capture_stale);
  raise_cable();
  CHECK(is_subscribed(kMacDigits));
  const Port peer("peer0");
  for (const bool is_shared : {false, true}) {
    const auto before = counters_of(*served.dataplane, served.nic);
    CHECK_EQUAL(before.is_capture_stale, !is_shared);
    for (const unsigned cpu : {0u, 1u}) {
      const OnCpu sender{cpu};
      CHECK(peer.send(datagram_from(1)));
    }
    const auto counters = counters_after(*served.dataplane, served.nic, before.received.frames + 2);
    CHECK_EQUAL(counters.received.frames, before.received.frames + 2);
    CHECK(!served.dataplane->open_nic(served.nic, index_of("nic0")));
  }
  // What fails for another reason is still an error.
  CHECK_EQUAL(error_of(served.dataplane->open_nic(served.nic, 4242)), ENODEV);
}

// JavaScript is one caller; the interface does not say that there cannot be more.
TEST_WITH_WORKERS(many_callers_at_once_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0xffff, workers);
  Traffic traffic;
  std::vector<std::thread> callers;
  std::atomic<unsigned> failures = 0;
  for (unsigned caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (unsigned i = 0; i < 100; ++i) {
        const auto mask = static_cast<std::uint16_t>(1u << ((i + caller) % kBuckets));
        if (served.dataplane->set_local(served.virtual_ip, mask, {})) ++failures;
        const auto counters = served.dataplane->nic_counters(served.nic);
        if (!std::holds_alternative<NicCounters>(counters)) ++failures;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  (void)traffic.stop();
  CHECK_EQUAL(failures.load(), 0u);
  check_sum(counters_of(*served.dataplane, served.nic));
}

TEST_WITH_WORKERS(dataplane_closes_under_traffic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  for (unsigned i = 0; i < 10; ++i) {
    Served served = serve(0xffff, workers);
    Traffic traffic;
    std::this_thread::sleep_for(milliseconds(5));
    served.dataplane.reset();
    (void)traffic.stop();
    CHECK(!is_subscribed(kMacDigits));
    CHECK_EQUAL(index_of(kTunName), 0);
  }
}

}  // namespace clusterip::test
