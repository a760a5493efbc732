// Single messages of the control side.
#include "linux/send_once.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "test/network.h"
#include "test/packets.h"
#include "test/require.h"
#include "test/test.h"

namespace clusterip::test {
namespace {

// A datagram socket of the abstract namespace, named by this process.
class Receiver {
 public:
  Receiver() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(name_, address.sun_path);
    address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  }

  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] std::string receive() const {
    std::string text(1000, '\0');
    const ssize_t size = ::recv(fd_.get(), text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

 private:
  std::string name_ = "@clusteripd-native-test-" + std::to_string(::getpid());
  Fd fd_;
};

int error_of(const std::optional<SysError>& error) { return error ? error->error : 0; }

}  // namespace

TEST(datagram_to_the_service_manager) {
  const Receiver receiver;
  CHECK_EQUAL(error_of(send_datagram(receiver.name(), "READY=1")), 0);
  CHECK_EQUAL(receiver.receive(), "READY=1");
  CHECK_EQUAL(error_of(send_datagram("@clusteripd-nobody-has-this", "READY=1")), ECONNREFUSED);
  CHECK_EQUAL(error_of(send_datagram("/nonexistent/notify", "READY=1")), ENOENT);
  CHECK_EQUAL(error_of(send_datagram("", "READY=1")), EINVAL);
  // 108 octets with the final zero: unix(7).
  CHECK_EQUAL(error_of(send_datagram(std::string(107, 'x'), "READY=1")), ENOENT);
  CHECK_EQUAL(error_of(send_datagram(std::string(108, 'x'), "READY=1")), EINVAL);
}

TEST(frame_is_sent_as_it_is) {
  if (const auto reason = enter_network()) SKIP(*reason);
  const Port peer("peer0");
  const Octets frame = padded(ethernet(ipv4({}, udp(1, 2)), 0x0806), 60);
  CHECK_EQUAL(error_of(send_frame(index_of("nic0"), frame)), 0);
  CHECK(peer.receive(std::chrono::seconds(60)) == frame);
  CHECK_EQUAL(error_of(send_frame(4242, frame)), ENXIO);
  CHECK_EQUAL(error_of(send_frame(index_of("nic0"), std::span(frame).first(13))), EINVAL);
}

}  // namespace clusterip::test
