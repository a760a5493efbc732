// What the addon exports: the userspace engine and calls of Linux that Node.js lacks. src/native.ts
// is the only module that loads it and gives it types.
#include <napi.h>
#include <sys/file.h>

#include "linux/lock_device.h"
#include "linux/send_once.h"
#include "napi/async_call.h"
#include "napi/dataplane_object.h"
#include "napi/napi_util.h"
#include "napi/nft_events_object.h"

namespace clusterip {
namespace {

// sendFrame(ifindex, frame)
Napi::Value send_frame_on(const Napi::CallbackInfo& info) {
  std::optional<SysError> failure = SysError{.call = "sendFrame", .error = EINVAL};
  if (info[1].IsTypedArray() &&
      info[1].As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    const auto octets = info[1].As<Napi::Uint8Array>();
    failure =
        send_frame(static_cast<int>(to_u32(info[0])), {octets.Data(), octets.ElementLength()});
  }
  if (failure) throw_sys_error(info.Env(), *failure);
  return info.Env().Undefined();
}

// sendDatagram(path, text)
Napi::Value send_datagram_to(const Napi::CallbackInfo& info) {
  const auto failure =
      send_datagram(info[0].ToString().Utf8Value(), info[1].ToString().Utf8Value());
  if (failure) throw_sys_error(info.Env(), *failure);
  return info.Env().Undefined();
}

// tryLockFile(fd): flock(2); whether it is ours now
Napi::Value try_lock_file(const Napi::CallbackInfo& info) {
  const bool is_locked = ::flock(static_cast<int>(to_u32(info[0])), LOCK_EX | LOCK_NB) == 0;
  if (!is_locked && errno != EWOULDBLOCK) throw_sys_error(info.Env(), last_error("flock"));
  return Napi::Boolean::New(info.Env(), is_locked);
}

// lockDevice(name): the descriptor that holds it
Napi::Value lock_device_named(const Napi::CallbackInfo& info) {
  return call_alone(
      info, [name = info[0].ToString().Utf8Value()] { return lock_device(name); },
      [](Napi::Env env, Fd& fd) { return Napi::Number::New(env, fd.release()); });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("sendFrame", Napi::Function::New<send_frame_on>(env, "sendFrame"));
  exports.Set("sendDatagram", Napi::Function::New<send_datagram_to>(env, "sendDatagram"));
  exports.Set("tryLockFile", Napi::Function::New<try_lock_file>(env, "tryLockFile"));
  exports.Set("lockDevice", Napi::Function::New<lock_device_named>(env, "lockDevice"));
  export_dataplane(env, exports);
  export_nft_events(env, exports);
  return exports;
}

}  // namespace
}  // namespace clusterip

// The macro wants a name without a namespace around it.
static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return clusterip::init(env, exports);
}

NODE_API_MODULE(clusteripd, init_addon)
