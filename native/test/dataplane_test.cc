// The whole packet path with its worker threads, in a network namespace. Under ThreadSanitizer this
// is about the hand-over of jobs between the control side and the workers.
#include "dataplane.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <future>
#include <numeric>
#include <thread>

#include "network.h"
#include "packets.h"
#include "require.h"
#include "test.h"

namespace clusterip::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSoon{2000};
constexpr milliseconds kNever{100};
constexpr std::uint8_t kNodes = 4;
constexpr const char* kMacDigits = "d1d85acccc21";

// RET K: the number of octets to pass.
constexpr sock_filter kPassAll{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0xffffffff};
constexpr sock_filter kDropAll{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};

VirtualIpSettings settings(std::uint16_t local_mask) {
  return {.address_host = kVip,
          .cluster_mac = {0xd1, 0xd8, 0x5a, 0xcc, 0xcc, 0x21},
          .hash = {.mode = HashMode::kSourceIpSourcePort, .total_nodes = kNodes, .hash_init = 7},
          .local_mask = local_mask};
}

// The same with one worker and with several; more than there are CPUs, so that one has nothing to
// do.
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): it declares, as TEST does
#define TEST_WITH_WORKERS(name)          \
  static void name(std::size_t workers); \
  TEST(name##_1) { name(1); }            \
  TEST(name##_3) { name(3); }            \
  static void name(std::size_t workers)

std::unique_ptr<Dataplane> started(std::size_t workers = 1) {
  auto result = Dataplane::start(kTunName, workers);
  REQUIRE(std::holds_alternative<std::unique_ptr<Dataplane>>(result));
  return std::get<std::unique_ptr<Dataplane>>(std::move(result));
}

Dataplane::Id id_of(const Result<Dataplane::Id>& result) {
  REQUIRE(std::holds_alternative<Dataplane::Id>(result));
  return std::get<Dataplane::Id>(result);
}

int error_of(const Result<Dataplane::Id>& result) {
  const auto* error = std::get_if<SysError>(&result);
  return error == nullptr ? 0 : error->error;
}

int error_of(const std::optional<SysError>& error) { return error ? error->error : 0; }

NicCounters counters_of(Dataplane& dataplane, Dataplane::Id nic) {
  const auto result = dataplane.nic_counters(nic);
  REQUIRE(std::holds_alternative<NicCounters>(result));
  return std::get<NicCounters>(result);
}

VirtualIpCounters buckets_of(Dataplane& dataplane, Dataplane::Id virtual_ip) {
  const auto result = dataplane.virtual_ip_counters(virtual_ip);
  REQUIRE(std::holds_alternative<VirtualIpCounters>(result));
  return std::get<VirtualIpCounters>(result);
}

std::uint64_t frames(std::span<const Tally> tallies) {
  return std::accumulate(tallies.begin(), tallies.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Tally& tally) { return sum + tally.frames; });
}

std::uint64_t with_reason(const NicCounters& counters, Reason reason) {
  return counters.by_reason[static_cast<std::size_t>(reason)].frames;
}

// Every frame is counted exactly once.
void check_sum(const NicCounters& counters) {
  CHECK_EQUAL(frames(counters.by_reason) + counters.capture_truncated.frames +
                  counters.delivery_failed.frames,
              counters.received.frames);
}

// A dataplane that serves the virtual IP on nic0.
struct Served {
  std::unique_ptr<Dataplane> dataplane;
  Dataplane::Id nic = 0;
  Dataplane::Id virtual_ip = 0;
};

Served serve(std::uint16_t local_mask, std::size_t workers = 1) {
  Served served{.dataplane = started(workers)};
  configure_tun();
  served.nic = id_of(served.dataplane->add_nic());
  REQUIRE(!served.dataplane->open_nic(served.nic, index_of("nic0")));
  served.virtual_ip = id_of(served.dataplane->add_virtual_ip(served.nic, settings(local_mask), {}));
  return served;
}

Octets datagram_from(std::uint16_t source_port, std::uint8_t number = 0) {
  return ethernet(ipv4({.source = 0xc6336407}, udp(source_port, 80, {number})));
}

unsigned bucket_of_port(std::uint16_t port) {
  const auto word = static_cast<std::uint32_t>(((port & 0xff) << 8) | (port >> 8));
  return bucket_of(0xc6336407, {.source = word, .destination = 0x5000}, settings(0).hash);
}

bool is_local(unsigned bucket, std::uint16_t mask) { return ((mask >> (bucket - 1)) & 1) != 0; }

// Waits until the dataplane has received as many frames.
NicCounters counters_after(Dataplane& dataplane, Dataplane::Id nic, std::uint64_t received) {
  NicCounters counters = counters_of(dataplane, nic);
  for (int i = 0; i < 300 && counters.received.frames + counters.kernel_dropped < received; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    counters = counters_of(dataplane, nic);
  }
  return counters;
}

// Frames of all buckets from a thread of its own, until stop().
class Traffic {
 public:
  // Returns when the first frames are on their way.
  Traffic() : thread_([this] { run(); }) {
    while (sent_ < 10) std::this_thread::sleep_for(milliseconds(1));
  }
  ~Traffic() { stop(); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  std::uint64_t stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return sent_;
  }

 private:
  void run() {
    const Port peer("peer0");
    for (std::uint16_t port = 1024; !stopping_; ++port) {
      if (peer.send(datagram_from(port))) ++sent_;
      if (port % 64 == 0) std::this_thread::sleep_for(milliseconds(1));
    }
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> sent_ = 0;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace

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
  std::array<std::uint64_t, kMaxNodes> expected{};
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
  CHECK_EQUAL(with_reason(counters, Reason::kLocalBucket), own);
  CHECK_EQUAL(with_reason(counters, Reason::kForeignBucket), kCount - own);
  check_sum(counters);
  const VirtualIpCounters buckets = buckets_of(*served.dataplane, served.virtual_ip);
  for (unsigned bucket = 1; bucket <= kMaxNodes; ++bucket) {
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
  CHECK_EQUAL(with_reason(counters, Reason::kLocalBucket), 2u);
  CHECK_EQUAL(with_reason(counters, Reason::kLaterFragment), 1u);
  CHECK_EQUAL(with_reason(counters, Reason::kVlanTagged), 1u);
  CHECK_EQUAL(with_reason(counters, Reason::kNotIpv4), 1u);
  CHECK_EQUAL(with_reason(counters, Reason::kOtherAddress), 1u);
  CHECK_EQUAL(with_reason(counters, Reason::kIcmpUnsolicited), 1u);
  CHECK_EQUAL(buckets_of(*served.dataplane, served.virtual_ip).without_bucket.frames, 1u);
  check_sum(counters);
}

namespace {

// This thread runs on one CPU: a frame that it sends is one of that CPU's worker.
class OnCpu {
 public:
  explicit OnCpu(unsigned cpu) noexcept {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OnCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace

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
  CHECK_EQUAL(counters.delivery_failed.frames, 1u);
  CHECK_EQUAL(counters.last_delivery_error.number, EIO);
  REQUIRE(ip(std::string("link del ") + kTunName));
  const OnCpu first{0};
  CHECK(peer.send(datagram_from(1)));
  counters = counters_after(*served.dataplane, served.nic, 2);
  CHECK_EQUAL(counters.delivery_failed.frames, 2u);
  CHECK_EQUAL(counters.last_delivery_error.number, EBADFD);
  CHECK(!served.dataplane->reopen_tun(kTunName));
  configure_tun();
  const UdpServer server(80);
  CHECK(peer.send(datagram_from(1, 5)));
  CHECK(server.receive(kSoon) == Octets({5}));
  check_sum(counters_of(*served.dataplane, served.nic));
}

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

namespace {

// In place of a queue of the device: while it is full, a write to it waits.
class Pipe {
 public:
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_ = Fd(ends[0]);
    write_ = Fd(ends[1]);
    REQUIRE(::fcntl(read_.get(), F_SETFL, O_NONBLOCK) == 0);
  }

  [[nodiscard]] Tun queue() const { return Tun(Fd(::fcntl(write_.get(), F_DUPFD_CLOEXEC, 0))); }

  void fill() const {
    REQUIRE(::fcntl(write_.get(), F_SETFL, O_NONBLOCK) == 0);
    const Octets page(4096);
    while (::write(write_.get(), page.data(), page.size()) > 0) continue;
    REQUIRE(::fcntl(write_.get(), F_SETFL, 0) == 0);
  }

  void drain() const {
    Octets octets(65536);
    while (::read(read_.get(), octets.data(), octets.size()) > 0) continue;
  }

 private:
  Fd read_;
  Fd write_;
};

// Two workers that serve bucket 1, and that can be made to stand still one by one.
class Pair {
 public:
  static constexpr std::uint16_t kMask = 0b0001;

  explicit Pair(milliseconds timeout = milliseconds(500)) : peer_("peer0") {
    std::vector<Tun> queues;
    for (const Pipe& pipe : pipes_) queues.push_back(pipe.queue());
    auto result = Dataplane::start(std::move(queues), timeout);
    REQUIRE(std::holds_alternative<std::unique_ptr<Dataplane>>(result));
    dataplane_ = std::get<std::unique_ptr<Dataplane>>(std::move(result));
    nic_ = id_of(dataplane_->add_nic());
    REQUIRE(!dataplane_->open_nic(nic_, index_of("nic0")));
    virtual_ip_ = id_of(dataplane_->add_virtual_ip(nic_, settings(kMask), {}));
  }
  ~Pair() { release(); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  Dataplane* operator->() const { return dataplane_.get(); }
  Dataplane& operator*() const { return *dataplane_; }
  [[nodiscard]] Dataplane::Id nic() const { return nic_; }
  [[nodiscard]] Dataplane::Id virtual_ip() const { return virtual_ip_; }

  void send_to(unsigned worker, const Octets& frame) const {
    const OnCpu cpu{worker};
    REQUIRE(peer_.send(frame));
  }

  // It takes a frame and cannot hand it over. The other one is not to have stopped.
  void stop(unsigned worker) {
    stop_soon(worker);
    for (int i = 0; i < 100; ++i) {
      const auto counters = dataplane_->nic_counters(nic_);
      if (std::holds_alternative<SysError>(counters)) return;
      std::this_thread::sleep_for(milliseconds(10));
    }
    const bool stands_still = false;
    REQUIRE(stands_still);
  }
  void stop_soon(unsigned worker) {
    pipes_.at(worker).fill();
    send_to(worker, datagram_from(port_of_bucket(1)));
    ++stops_;
  }
  void release() const {
    for (const Pipe& pipe : pipes_) pipe.drain();
  }
  // Each has taken a frame of bucket 1.
  [[nodiscard]] unsigned stops() const { return stops_; }

  static std::uint16_t port_of_bucket(unsigned bucket) {
    std::uint16_t port = 2000;
    while (bucket_of_port(port) != bucket) ++port;
    return port;
  }

 private:
  std::array<Pipe, 2> pipes_;
  Port peer_;
  std::unique_ptr<Dataplane> dataplane_;
  Dataplane::Id nic_ = 0;
  Dataplane::Id virtual_ip_ = 0;
  unsigned stops_ = 0;
};

std::optional<std::string> enter_network_of_two() {
  if (std::thread::hardware_concurrency() < 2) return "needs two CPUs";
  return enter_network();
}

// Frames of bucket 2 to each worker, which nobody has asked for.
void check_answers_bucket_1_only(const Pair& pair) {
  const NicCounters before = counters_of(*pair, pair.nic());
  CHECK_EQUAL(with_reason(before, Reason::kLocalBucket), pair.stops());
  for (const unsigned worker : {0u, 1u}) {
    pair.send_to(worker, datagram_from(Pair::port_of_bucket(2)));
  }
  const auto after = counters_after(*pair, pair.nic(), before.received.frames + 2);
  CHECK_EQUAL(with_reason(after, Reason::kForeignBucket), 2u);
  CHECK_EQUAL(with_reason(after, Reason::kLocalBucket), pair.stops());
  check_sum(after);
}

}  // namespace

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
    CHECK_EQUAL(with_reason(counters, Reason::kForeignBucket), sent);
    CHECK(!served.dataplane->set_local(served.virtual_ip, 0, {}));
  }
}

TEST(gain_that_one_worker_misses_is_taken_back) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  Pair pair;
  pair.stop(1);
  const Prefilter none{.program = {kDropAll}};
  CHECK_EQUAL(error_of(pair->set_local(pair.virtual_ip(), 0xffff, none)), ETIMEDOUT);
  pair.release();
  check_answers_bucket_1_only(pair);
  CHECK(!pair->set_local(pair.virtual_ip(), 0, {}));
}

TEST(loss_that_one_worker_misses_is_taken_back) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  Pair pair;
  pair.stop(1);
  CHECK_EQUAL(error_of(pair->set_local(pair.virtual_ip(), 0, {})), ETIMEDOUT);
  CHECK_EQUAL(error_of(pair->remove_virtual_ip(pair.virtual_ip(), {})), ETIMEDOUT);
  pair.release();
  CHECK(is_subscribed(kMacDigits));
  for (const unsigned worker : {0u, 1u}) {
    pair.send_to(worker, datagram_from(Pair::port_of_bucket(1)));
  }
  const auto counters = counters_after(*pair, pair.nic(), 3);
  CHECK_EQUAL(with_reason(counters, Reason::kLocalBucket), 3u);
}

TEST(virtual_ip_that_one_worker_misses_is_taken_back) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  Pair pair;
  pair.stop(1);
  VirtualIpSettings other = settings(0xffff);
  other.address_host += 1;
  other.cluster_mac.back() = 0x22;
  const Prefilter none{.program = {kDropAll}};
  CHECK_EQUAL(error_of(pair->add_virtual_ip(pair.nic(), other, none)), ETIMEDOUT);
  CHECK(!is_subscribed("d1d85acccc22"));
  // The same address once more, with other buckets.
  CHECK_EQUAL(error_of(pair->add_virtual_ip(pair.nic(), settings(0xffff), {})), ETIMEDOUT);
  pair.release();
  check_answers_bucket_1_only(pair);
  CHECK_EQUAL(frames(buckets_of(*pair, pair.virtual_ip()).local), 1u);
  const Dataplane::Id second = id_of(pair->add_virtual_ip(pair.nic(), other, {}));
  CHECK(!pair->remove_virtual_ip(second, {}));
}

TEST(prefilter_that_one_worker_misses_is_taken_back) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  Pair pair;
  pair.stop(1);
  const Prefilter none{.program = {kDropAll}};
  CHECK_EQUAL(error_of(pair->set_prefilter(pair.nic(), none, true)), ETIMEDOUT);
  pair.release();
  check_answers_bucket_1_only(pair);
}

TEST(capture_that_one_worker_misses_is_closed) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  Pair pair;
  const Dataplane::Id other = id_of(pair->add_nic());
  VirtualIpSettings there = settings(0);
  there.cluster_mac.back() = 0x22;
  (void)id_of(pair->add_virtual_ip(other, there, {}));
  pair.stop(1);
  CHECK_EQUAL(error_of(pair->open_nic(other, index_of("peer0"))), ETIMEDOUT);
  pair.release();
  const Port opposite("nic0");
  for (const unsigned worker : {0u, 1u}) {
    const OnCpu cpu{worker};
    CHECK(opposite.send(datagram_from(1)));
  }
  std::this_thread::sleep_for(kNever);
  CHECK_EQUAL(counters_of(*pair, other).received.frames, 0u);
  check_answers_bucket_1_only(pair);
}

TEST(device_that_one_worker_misses_is_not_kept) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  Pair pair;
  pair.stop(1);
  CHECK_EQUAL(error_of(pair->reopen_tun(kTunName)), ETIMEDOUT);
  CHECK_EQUAL(index_of(kTunName), 0);
  pair.release();
  check_answers_bucket_1_only(pair);
  CHECK(!pair->reopen_tun(kTunName));
  CHECK(index_of(kTunName) != 0);
}

TEST(workers_that_differ_are_told_by_every_call) {
  if (const auto reason = enter_network_of_two()) SKIP(*reason);
  {
    // The first has done it, and stands still when it shall take it back.
    Pair pair(milliseconds(2000));
    pair.stop(1);
    std::thread late([&pair] {
      std::this_thread::sleep_for(milliseconds(1000));
      pair.stop_soon(0);
    });
    CHECK_EQUAL(error_of(pair->set_local(pair.virtual_ip(), 0xffff, {})), ETIMEDOUT);
    late.join();
    pair.release();
    const auto counters = pair->nic_counters(pair.nic());
    REQUIRE(std::holds_alternative<SysError>(counters));
    CHECK_EQUAL(std::get<SysError>(counters).error, EIO);
    CHECK_EQUAL(error_of(pair->set_local(pair.virtual_ip(), 0, {})), EIO);
  }
  // What the first has closed cannot be opened again as it was.
  Pair pair;
  pair.stop(1);
  CHECK_EQUAL(error_of(pair->close_nic(pair.nic())), ETIMEDOUT);
  pair.release();
  CHECK_EQUAL(error_of(pair->set_local(pair.virtual_ip(), 0, {})), EIO);
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
  CHECK_EQUAL(with_reason(counters, Reason::kLocalBucket), 1u);
  CHECK_EQUAL(with_reason(counters, Reason::kForeignBucket), 1u);
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
  CHECK_EQUAL(frames(buckets.local) + frames(buckets.foreign) + counters.delivery_failed.frames,
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
  CHECK(with_reason(counters, Reason::kLocalBucket) > 0);
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
  REQUIRE(ip("link set nic0 up"));
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
  REQUIRE(ip("link set nic0 arp off up"));
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
  REQUIRE(ip("link set nic0 up"));
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
        const auto mask = static_cast<std::uint16_t>(1u << ((i + caller) % kNodes));
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
