// What the addon exports. src/native.ts is the only module that loads it and gives it types.
#include <napi.h>
#include <sys/file.h>

#include "batch_object.h"
#include "bucket.h"
#include "dataplane_object.h"
#include "filter_probe.h"
#include "judge_object.h"
#include "napi_util.h"
#include "nft_events_object.h"
#include "send_once.h"

namespace clusterip {
namespace {

// bucketOf(hashMode, totalNodes, hashInit, protocol, saddrHost, sourcePortWord, destPortWord)
Napi::Value bucket_of_flow(const Napi::CallbackInfo& info) {
  const std::uint32_t mode = to_u32(info[0]);
  const auto total = static_cast<std::uint8_t>(to_u32(info[1]));
  const HashSettings settings{.mode = static_cast<HashMode>(mode > 2 ? 2 : mode),
                              .total_nodes = total,
                              .hash_init = to_u32(info[2])};
  const bool has_ports = ports_offset(static_cast<std::uint8_t>(to_u32(info[3]))).has_value();
  const PortWords ports = has_ports
                              ? PortWords{.source = to_u32(info[5]), .destination = to_u32(info[6])}
                              : PortWords{};
  return Napi::Number::New(info.Env(), bucket_of(to_u32(info[4]), ports, settings));
}

Napi::Value reason_names(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env(), kReasonCount);
  for (std::uint32_t i = 0; i < kReasonCount; ++i) {
    names.Set(i, Napi::String::New(info.Env(), kReasonNames[i]));
  }
  return names;
}

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

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("bucketOf", Napi::Function::New<bucket_of_flow>(env, "bucketOf"));
  exports.Set("reasonNames", Napi::Function::New<reason_names>(env, "reasonNames"));
  exports.Set("sendFrame", Napi::Function::New<send_frame_on>(env, "sendFrame"));
  exports.Set("sendDatagram", Napi::Function::New<send_datagram_to>(env, "sendDatagram"));
  exports.Set("tryLockFile", Napi::Function::New<try_lock_file>(env, "tryLockFile"));
  export_batch(env, exports);
  export_dataplane(env, exports);
  export_filter_probe(env, exports);
  export_judge(env, exports);
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
