// The parts of the packet path one by one: the batch, the rewrite, the capture socket, the TUN.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <thread>

#include "test/network.h"
#include "test/packets.h"
#include "test/require.h"
#include "test/test.h"
#include "userspace/capture.h"
#include "userspace/tun.h"

namespace clusterip::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSoon{60000};
constexpr std::size_t kVnetHeader = sizeof(VnetHeader);

// Datagrams take the place of captured frames.
struct Pair {
  Fd near;
  Fd far;

  Pair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    near = Fd(fds[0]);
    far = Fd(fds[1]);
  }

  void send(std::size_t size, std::uint8_t fill = 0) const {
    const Octets octets(size, fill);
    REQUIRE(::send(far.get(), octets.data(), size, 0) == static_cast<ssize_t>(size));
  }
};

// Waits until the capture has something, then reads it.
std::size_t receive_soon(FrameBatch& batch, const Capture& capture) {
  for (int i = 0; i < 6000; ++i) {
    const std::size_t count = batch.receive(capture.fd());
    if (count != 0) return count;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return 0;
}

Capture opened(const std::string& device) {
  auto result = Capture::open(index_of(device), 1);
  REQUIRE(std::holds_alternative<std::vector<Capture>>(result));
  Capture capture = std::move(std::get<std::vector<Capture>>(result).front());
  REQUIRE(capture.set_filter({}));
  return capture;
}

Tun opened_tun() {
  auto result = Tun::open(kTunName, 1);
  REQUIRE(std::holds_alternative<std::vector<Tun>>(result));
  return std::move(std::get<std::vector<Tun>>(result).front());
}

Octets with_vnet_header(const VnetHeader& header, const Octets& frame) {
  Octets buffer(kVnetHeader);
  std::memcpy(buffer.data(), &header, kVnetHeader);
  return joined({buffer, frame});
}

VnetHeader header_of(std::span<const std::uint8_t> message) {
  VnetHeader header{};
  std::memcpy(&header, message.data(), sizeof header);
  return header;
}

Judgement accepted(std::size_t ip_offset, std::size_t ip_length) {
  Judgement judgement{};
  judgement.reason = REASON_LOCAL_BUCKET;
  judgement.bucket = 1;
  judgement.ip_offset = static_cast<std::uint32_t>(ip_offset);
  judgement.ip_length = static_cast<std::uint32_t>(ip_length);
  return judgement;
}

}  // namespace

TEST(descriptor_is_owned_once) {
  Fd first(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int number = first.get();
  Fd second(std::move(first));
  CHECK_EQUAL(second.get(), number);
  Fd third;
  CHECK(!third);
  third = std::move(second);
  CHECK(third);
  third = Fd();
  CHECK(!third);
  CHECK(::fcntl(number, F_GETFD) == -1);
}

TEST(batch_of_an_empty_socket) {
  const Pair pair;
  FrameBatch batch;
  CHECK_EQUAL(batch.receive(pair.near.get()), 0u);
  CHECK_EQUAL(errno, EAGAIN);
  CHECK_EQUAL(batch.receive(-1), 0u);
  CHECK_EQUAL(errno, EBADF);
}

TEST(batch_holds_frames_of_any_size) {
  const Pair pair;
  FrameBatch batch;
  const std::array<std::size_t, 6> sizes = {0, 9, 10, 11, 1514 + kVnetHeader, 65535 + 14 + 10};
  for (const std::size_t size : sizes) pair.send(size, 0xab);
  CHECK_EQUAL(batch.receive(pair.near.get()), sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const CapturedFrame captured = batch.at(i);
    CHECK_EQUAL(captured.frame.size(), sizes[i] < kVnetHeader ? 0 : sizes[i] - kVnetHeader);
    CHECK(!captured.truncated);
    CHECK(!captured.has_vlan_tag);
    for (const std::uint8_t octet : captured.frame) REQUIRE(octet == 0xab);
  }
}

TEST(batch_says_when_a_frame_is_cut) {
  const Pair pair;
  FrameBatch batch;
  pair.send(80000, 1);
  pair.send(20, 2);
  CHECK_EQUAL(batch.receive(pair.near.get()), 2u);
  CHECK(batch.at(0).truncated);
  CHECK(!batch.at(1).truncated);
  CHECK_EQUAL(batch.at(1).frame.size(), 10u);
}

TEST(batch_is_used_again) {
  const Pair pair;
  FrameBatch batch;
  // A socket pair queues few datagrams: send and receive by turns.
  for (unsigned round = 0; round < 100; ++round) {
    for (unsigned i = 0; i < 8; ++i) pair.send(kVnetHeader + round, static_cast<std::uint8_t>(i));
    CHECK_EQUAL(batch.receive(pair.near.get()), 8u);
    for (unsigned i = 0; i < 8; ++i) CHECK_EQUAL(batch.at(i).frame.size(), round);
  }
}

TEST(rewrite_for_the_tun_moves_the_offsets) {
  const Octets packet = ipv4({}, udp(40000, 80, {1, 2, 3}));
  for (const std::size_t tags : {0u, 1u, 2u}) {
    Octets frame = ethernet(packet);
    for (std::size_t i = 0; i < tags; ++i) frame = tagged(frame, 0);
    const auto offset = static_cast<std::uint16_t>(14 + 4 * tags);
    const VnetHeader before{.flags = kVnetNeedsChecksum,
                            .gso_type = 1,
                            .hdr_len = static_cast<std::uint16_t>(offset + 40),
                            .gso_size = 1448,
                            .csum_start = static_cast<std::uint16_t>(offset + 20),
                            .csum_offset = 16};
    Octets buffer = with_vnet_header(before, padded(frame, 80));
    const auto message =
        to_tun_message(std::span(buffer).subspan(kVnetHeader), accepted(offset, packet.size()));
    CHECK_EQUAL(message.size(), kVnetHeader + packet.size());
    CHECK(std::ranges::equal(message.subspan(kVnetHeader), packet));
    CHECK_EQUAL(header_of(message).csum_start, 20u);
    CHECK_EQUAL(header_of(message).hdr_len, 40u);
    CHECK_EQUAL(header_of(message).gso_size, 1448u);
    CHECK_EQUAL(header_of(message).csum_offset, 16u);
  }
}

TEST(rewrite_leaves_an_empty_header_empty) {
  const Octets packet = ipv4({}, udp(40000, 80));
  Octets buffer = with_vnet_header({}, ethernet(packet));
  const auto message =
      to_tun_message(std::span(buffer).subspan(kVnetHeader), accepted(14, packet.size()));
  for (std::size_t i = 0; i < kVnetHeader; ++i) CHECK_EQUAL(message[i], 0u);
}

TEST(capture_of_a_device_that_is_not_there) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const auto result = Capture::open(4242, 1);
  CHECK(std::holds_alternative<SysError>(result));
  CHECK_EQUAL(std::get<SysError>(result).error, ENODEV);
}

TEST(captures_pass_nothing_before_their_filter_and_then_share_the_frames) {
  if (const auto reason = enter_network()) SKIP(*reason);
  auto result = Capture::open(index_of("nic0"), 3);
  REQUIRE(std::holds_alternative<std::vector<Capture>>(result));
  const auto captures = std::get<std::vector<Capture>>(std::move(result));
  const Port witness("nic0");
  const Port peer("peer0");
  const Octets frame = ethernet(ipv4({}, udp(40000, 80)));
  FrameBatch batch;
  const auto receive_all = [&] {
    std::size_t count = 0;
    for (const Capture& capture : captures) {
      while (const std::size_t more = batch.receive(capture.fd())) count += more;
    }
    return count;
  };
  CHECK(peer.send(frame));
  CHECK(!witness.receive(kSoon).empty());
  CHECK_EQUAL(receive_all(), 0u);
  for (const Capture& capture : captures) CHECK(capture.set_filter({}));
  constexpr std::size_t kFrames = 50;
  for (std::size_t i = 0; i < kFrames; ++i) {
    // What this host sends itself is not for the group.
    CHECK(witness.send(frame));
    CHECK(peer.send(frame));
    CHECK(!witness.receive(kSoon).empty());
  }
  CHECK_EQUAL(receive_all(), kFrames);
}

TEST(capture_sees_incoming_frames_with_type_and_tag) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Capture capture = opened("nic0");
  const Port peer("peer0");
  const Port nic("nic0");
  FrameBatch batch;
  const Octets frame = padded(ethernet(ipv4({}, udp(40000, 80))), 60);
  CHECK(nic.send(frame));  // outgoing: not seen
  CHECK(peer.send(frame));
  CHECK_EQUAL(receive_soon(batch, capture), 1u);
  const CapturedFrame plain = batch.at(0);
  CHECK(std::ranges::equal(plain.frame, frame));
  CHECK_EQUAL(plain.packet_type, PACKET_TYPE_MULTICAST);
  CHECK(!plain.has_vlan_tag);

  CHECK(peer.send(tagged(frame, 0x2007)));
  CHECK_EQUAL(receive_soon(batch, capture), 1u);
  const CapturedFrame with_tag = batch.at(0);
  CHECK(with_tag.has_vlan_tag);
  CHECK_EQUAL(with_tag.vlan_tci, 0x2007u);
  CHECK(std::ranges::equal(with_tag.frame, frame));
}

TEST(capture_counts_what_does_not_fit) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Capture capture = opened("nic0");
  const Port peer("peer0");
  CHECK_EQUAL(capture.take_drops(), 0u);
  const Octets frame = padded(ethernet(ipv4({}, udp(40000, 80))), 1514);
  // Nobody reads: the buffer of 8 MiB (which the kernel doubles) is full some time.
  for (unsigned i = 0; i < 40000; ++i) (void)peer.send(frame);
  const std::size_t bound = capture.pending_bound();
  const std::uint64_t dropped = capture.take_drops();
  CHECK(dropped > 0);
  CHECK(dropped < 40000);
  FrameBatch batch;
  std::size_t waiting = 0;
  for (std::size_t count = batch.receive(capture.fd()); count != 0;
       count = batch.receive(capture.fd())) {
    waiting += count;
  }
  CHECK_EQUAL(waiting + dropped, 40000u);
  CHECK(bound >= waiting);
}

TEST(capture_subscribes_the_nic) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const MacAddress mac = {0xd1, 0xd8, 0x5a, 0xcc, 0xcc, 0x21};
  {
    const Capture capture = opened("nic0");
    CHECK(capture.join(mac));
    CHECK(is_subscribed("d1d85acccc21"));
    CHECK(capture.leave(mac));
    CHECK(!is_subscribed("d1d85acccc21"));
    CHECK(capture.join(mac));
  }
  CHECK(!is_subscribed("d1d85acccc21"));  // it ends with the socket
}

TEST(tun_refuses_a_second_owner_and_a_device_that_is_down) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Tun first = opened_tun();
  const auto second = Tun::open(kTunName, 1);
  CHECK(std::holds_alternative<SysError>(second));
  CHECK_EQUAL(std::get<SysError>(second).error, EBUSY);
  const Octets packet = ipv4({}, udp(40000, 80));
  Octets buffer = with_vnet_header({}, ethernet(packet));
  const bool delivered =
      first.deliver(std::span(buffer).subspan(kVnetHeader), accepted(14, packet.size()));
  CHECK(!delivered);
  CHECK_EQUAL(errno, EIO);
}

TEST(tun_hands_over_the_packet_octet_by_octet) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Tun tun = opened_tun();
  configure_tun();
  const Port tap(kTunName);
  const UdpServer server(80);
  const Octets packet = ipv4({.source = 0xc6336407}, udp(40000, 80, {1, 2, 3}));
  for (const std::size_t tags : {0u, 2u}) {
    Octets frame = ethernet(packet);
    for (std::size_t i = 0; i < tags; ++i) frame = tagged(frame, 0);
    Octets buffer = with_vnet_header({}, padded(frame, 80));
    CHECK(tun.deliver(std::span(buffer).subspan(kVnetHeader),
                      accepted(14 + 4 * tags, packet.size())));
    CHECK(tap.receive(kSoon) == packet);
    CHECK(server.receive(kSoon) == Octets({1, 2, 3}));
  }
}

}  // namespace clusterip::test
