#include "judge_object.h"

#include <vector>

#include "napi_util.h"
#include "verdict.h"

namespace clusterip {
namespace {

class JudgeObject : public Napi::ObjectWrap<JudgeObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Judge", {InstanceMethod<&JudgeObject::judge_frame>("judge")});
  }

  explicit JudgeObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    std::vector<VirtualIp> entries;
    if (info[0].IsArray()) {
      const auto list = info[0].As<Napi::Array>();
      for (std::uint32_t i = 0; i < list.Length(); ++i) {
        const Napi::Value item = list.Get(i);
        if (!item.IsObject()) continue;
        const auto object = item.As<Napi::Object>();
        entries.push_back({.address_host = to_u32(object.Get("addressHost")),
                           .hash = to_hash_settings(object),
                           .local_mask = to_mask(object.Get("localMask")),
                           .id = i});
      }
    }
    table_.assign(entries);
  }

 private:
  // judge(frame, packetType) -> reason | bucket << 8
  Napi::Value judge_frame(const Napi::CallbackInfo& info) {
    if (!info[0].IsTypedArray()) {
      throw_sys_error(info.Env(), {.call = "judge", .error = EINVAL});
      return info.Env().Undefined();
    }
    const auto frame = info[0].As<Napi::Uint8Array>();
    const Judgement judgement = judge({frame.Data(), frame.ByteLength()},
                                      static_cast<PacketType>(to_u32(info[1]) & 3u), table_);
    const auto reason = static_cast<std::uint32_t>(judgement.reason);
    return Napi::Number::New(info.Env(), reason | (std::uint32_t{judgement.bucket} << 8));
  }

  VirtualIpTable table_;
};

}  // namespace

void export_judge(Napi::Env env, Napi::Object exports) {
  exports.Set("Judge", JudgeObject::define(env));
}

}  // namespace clusterip
