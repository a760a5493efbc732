// One of two workers stands still: a change that it misses is taken back from the other.
#include <fcntl.h>

#include <array>
#include <future>
#include <memory>
#include <vector>

#include "test/dataplane_lab.h"

namespace clusterip::test {
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

  explicit Pair(milliseconds timeout = milliseconds(1500)) : peer_("peer0") {
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

// Frames of bucket 2 to each worker, which nobody has asked for.
void check_answers_bucket_1_only(const Pair& pair) {
  const NicCounters before = counters_of(*pair, pair.nic());
  CHECK_EQUAL(with_reason(before, REASON_LOCAL_BUCKET), pair.stops());
  for (const unsigned worker : {0u, 1u}) {
    pair.send_to(worker, datagram_from(Pair::port_of_bucket(2)));
  }
  const auto after = counters_after(*pair, pair.nic(), before.received.frames + 2);
  CHECK_EQUAL(with_reason(after, REASON_FOREIGN_BUCKET), 2u);
  CHECK_EQUAL(with_reason(after, REASON_LOCAL_BUCKET), pair.stops());
  check_sum(after);
}

}  // namespace

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
  CHECK_EQUAL(with_reason(counters, REASON_LOCAL_BUCKET), 3u);
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

}  // namespace clusterip::test
