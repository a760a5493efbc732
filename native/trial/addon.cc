// The addon that tests and benchmarks load, and users never get: hash and verdict by themselves,
// and the kernel's own run of a prefilter. src/native.ts gives it types.
#include <napi.h>

#include "generated/reason_names.h"
#include "napi/napi_util.h"
#include "trial/batch_object.h"
#include "trial/filter_probe.h"
#include "trial/judge_object.h"
#include "verdict/hash.h"

namespace clusterip {
namespace {

// bucketOf(hashMode, bucketCount, hashInit, protocol, saddrHost, sourcePortWord, destPortWord)
Napi::Value bucket_of_flow(const Napi::CallbackInfo& info) {
  const clusterip_rule rule = to_rule(to_u32(info[0]), to_u32(info[1]), to_u32(info[2]), 0);
  const bool has_ports = clusterip_ports_offset(static_cast<std::uint8_t>(to_u32(info[3]))) >= 0;
  const clusterip_port_words ports =
      has_ports ? clusterip_port_words{.source = to_u32(info[5]), .destination = to_u32(info[6])}
                : clusterip_port_words{};
  return Napi::Number::New(info.Env(), clusterip_bucket_of(to_u32(info[4]), ports, &rule));
}

// reasonNames(): by number, undefined for a number without a reason
Napi::Value reason_names(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env(), kReasonNames.size());
  for (std::uint32_t i = 0; i < kReasonNames.size(); ++i) {
    names.Set(i, kReasonNames[i] != nullptr
                     ? Napi::Value(Napi::String::New(info.Env(), kReasonNames[i]))
                     : info.Env().Undefined());
  }
  return names;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("bucketOf", Napi::Function::New<bucket_of_flow>(env, "bucketOf"));
  exports.Set("reasonNames", Napi::Function::New<reason_names>(env, "reasonNames"));
  export_batch(env, exports);
  export_filter_probe(env, exports);
  export_judge(env, exports);
  return exports;
}

}  // namespace
}  // namespace clusterip

// The macro wants a name without a namespace around it.
static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return clusterip::init(env, exports);
}

NODE_API_MODULE(clusteripd_trial, init_addon)
