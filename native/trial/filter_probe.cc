#include "trial/filter_probe.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "linux/sys.h"
#include "napi/napi_util.h"

namespace clusterip {
namespace {

// A pair of UNIX datagram sockets: the filter of one runs on every datagram from the other, just
// as that of a capture socket runs on a frame.
class FilterProbe : public Napi::ObjectWrap<FilterProbe> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "FilterProbe", {InstanceMethod<&FilterProbe::passes>("passes")});
  }

  // new FilterProbe(program): throws when the kernel does not accept the program
  explicit FilterProbe(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (!info[0].IsTypedArray()) {
      throw_sys_error(info.Env(), {.call = "FilterProbe", .error = EINVAL});
      return;
    }
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) {
      throw_sys_error(info.Env(), last_error("socketpair"));
      return;
    }
    sender_ = Fd(pair[0]);
    receiver_ = Fd(pair[1]);
    const auto octets = info[0].As<Napi::Uint8Array>();
    std::vector<sock_filter> program(octets.ByteLength() / sizeof(sock_filter));
    std::memcpy(program.data(), octets.Data(), program.size() * sizeof(sock_filter));
    const sock_fprog attached{.len = static_cast<unsigned short>(program.size()),
                              .filter = program.data()};
    if (::setsockopt(receiver_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) !=
        0) {
      throw_sys_error(info.Env(), last_error("SO_ATTACH_FILTER"));
    }
  }

 private:
  // passes(frame): a frame to this host, without a tag
  Napi::Value passes(const Napi::CallbackInfo& info) {
    if (!info[0].IsTypedArray()) {
      throw_sys_error(info.Env(), {.call = "passes", .error = EINVAL});
      return info.Env().Undefined();
    }
    const auto frame = info[0].As<Napi::Uint8Array>();
    // A datagram that the filter drops is refused to the sender.
    const ssize_t sent = ::send(sender_.get(), frame.Data(), frame.ByteLength(), 0);
    if (sent < 0 && errno != EPERM) {
      throw_sys_error(info.Env(), last_error("send"));
      return info.Env().Undefined();
    }
    std::uint8_t first = 0;
    const ssize_t received = ::recv(receiver_.get(), &first, sizeof first, 0);
    return Napi::Boolean::New(info.Env(), received >= 0);
  }

  Fd sender_;
  Fd receiver_;
};

}  // namespace

void export_filter_probe(Napi::Env env, Napi::Object exports) {
  exports.Set("FilterProbe", FilterProbe::define(env));
}

}  // namespace clusterip
