// Engine "bpf" as tests load it: what users have, and test runs of its programs.
#include "napi/bpf_object.h"
#include "napi/napi_util.h"
#include "trial/test_run.h"

namespace clusterip {
namespace {

// testRun(dataplane, "tc" | "xdp", frame)
Napi::Value test_run_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const BpfObject* object =
      info[0].IsObject() ? BpfObject::Unwrap(info[0].As<Napi::Object>()) : nullptr;
  if (object == nullptr || !info[2].IsTypedArray()) {
    throw_sys_error(env, {.call = "testRun", .error = EINVAL});
    return env.Undefined();
  }
  const auto frame = info[2].As<Napi::Uint8Array>();
  const auto run = test_run(object->dataplane(), info[1].ToString().Utf8Value() == "xdp",
                            {frame.Data(), frame.ByteLength()});
  if (const auto* error = std::get_if<SysError>(&run)) {
    throw_sys_error(env, *error);
    return env.Undefined();
  }
  const auto& result = std::get<TestRun>(run);
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("action", result.action);
  answer.Set("reason", result.reason);
  answer.Set("bucket", static_cast<std::uint32_t>(result.bucket));
  return answer;
}

}  // namespace
}  // namespace clusterip

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  clusterip::export_bpf(env, exports);
  exports.Set("testRun", Napi::Function::New<clusterip::test_run_of>(env, "testRun"));
  return exports;
}

NODE_API_MODULE(clusteripd_bpf_trial, init_addon)
