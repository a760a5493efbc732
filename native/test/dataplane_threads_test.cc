// Counters are read from other threads while the dataplane is changed, and while it is ended.
#include <atomic>
#include <thread>

#include "test/dataplane_lab.h"

namespace clusterip::test {
namespace {

// Reads from a thread of its own until it is gone; what it has read is in order.
class Reader {
 public:
  explicit Reader(const Served& served) : thread_([this, &served] { run(served); }) {
    while (reads_ < 10) std::this_thread::sleep_for(milliseconds(1));
  }
  ~Reader() {
    is_ending_ = true;
    thread_.join();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] std::uint64_t reads() const { return reads_; }

 private:
  void run(const Served& served) {
    while (!is_ending_) {
      const auto nic = served.dataplane->nic_counters(served.nic);
      if (const auto* counters = std::get_if<NicCounters>(&nic)) check_sum(*counters);
      (void)served.dataplane->virtual_ip_counters(served.virtual_ip);
      ++reads_;
    }
  }

  std::atomic<bool> is_ending_ = false;
  std::atomic<std::uint64_t> reads_ = 0;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace

TEST_WITH_WORKERS(counters_are_read_while_it_is_changed) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0b0001, workers);
  const Traffic traffic;
  const Reader reader(served);
  for (std::uint16_t round = 0; round < 30; ++round) {
    CHECK(!served.dataplane->set_local(served.virtual_ip, round % 2 == 0 ? 0xffff : 0, {}));
    VirtualIpSettings other = settings(0xffff);
    other.address_host += 1;
    const Dataplane::Id id = id_of(served.dataplane->add_virtual_ip(served.nic, other, {}));
    CHECK(!served.dataplane->remove_virtual_ip(id, {}));
    if (round % 10 == 0) CHECK(!served.dataplane->open_nic(served.nic, index_of("nic0")));
    const Dataplane::Id nic = id_of(served.dataplane->add_nic());
    CHECK(!served.dataplane->remove_nic(nic));
  }
}

TEST_WITH_WORKERS(counters_are_read_while_it_is_ended) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Served served = serve(0b0001, workers);
  const Traffic traffic;
  const Reader reader(served);
  served.dataplane->stop();
  CHECK_EQUAL(index_of(kTunName), 0);
  const std::uint64_t before = reader.reads();
  while (reader.reads() < before + 10) std::this_thread::sleep_for(milliseconds(1));
  const auto counters = served.dataplane->nic_counters(served.nic);
  REQUIRE(std::holds_alternative<SysError>(counters));
  CHECK_EQUAL(std::get<SysError>(counters).error, EBADF);
  CHECK_EQUAL(error_of(served.dataplane->add_nic()), EBADF);
  CHECK_EQUAL(error_of(served.dataplane->reopen_tun(kTunName)), EBADF);
  CHECK_EQUAL(error_of(served.dataplane->set_local(served.virtual_ip, 0, {})), ENOENT);
  CHECK(!served.dataplane->close_nic(served.nic));
  served.dataplane->stop();
}

}  // namespace clusterip::test
