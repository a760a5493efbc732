#include "trial/judge_object.h"

#include <vector>

#include "napi/napi_util.h"
#include "userspace/judge.h"

namespace clusterip {
namespace {

class JudgeObject : public Napi::ObjectWrap<JudgeObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Judge",
                       {InstanceMethod<&JudgeObject::judge_frame>("judge"),
                        InstanceMethod<&JudgeObject::judge_all>("judgeAll")});
  }

  explicit JudgeObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    std::vector<VirtualIp> entries;
    if (info[0].IsArray()) {
      const auto list = info[0].As<Napi::Array>();
      for (std::uint32_t i = 0; i < list.Length(); ++i) {
        const Napi::Value item = list.Get(i);
        if (!item.IsObject()) continue;
        const auto object = item.As<Napi::Object>();
        entries.push_back(
            {.address_host = to_u32(object.Get("addressHost")), .rule = to_rule(object), .id = i});
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
    const Judgement judgement =
        judge({frame.Data(), frame.ByteLength()}, to_u32(info[1]) & 3u, table_);
    return Napi::Number::New(info.Env(), to_number(judgement));
  }

  // judgeAll(frames, ends, packetType, results): frames one behind the other, as many as results
  Napi::Value judge_all(const Napi::CallbackInfo& info) {
    const auto is = [&](std::size_t argument, napi_typedarray_type type) {
      return info[argument].IsTypedArray() &&
             info[argument].As<Napi::TypedArray>().TypedArrayType() == type;
    };
    bool is_valid = is(0, napi_uint8_array) && is(1, napi_uint32_array) && is(3, napi_uint32_array);
    if (is_valid) {
      const auto octets = info[0].As<Napi::Uint8Array>();
      const auto ends = info[1].As<Napi::Uint32Array>();
      auto results = info[3].As<Napi::Uint32Array>();
      is_valid =
          judge_frames({octets.Data(), octets.ByteLength()}, {ends.Data(), ends.ElementLength()},
                       to_u32(info[2]) & 3u, {results.Data(), results.ElementLength()});
    }
    if (!is_valid) throw_sys_error(info.Env(), {.call = "judgeAll", .error = EINVAL});
    return info.Env().Undefined();
  }

  [[nodiscard]] bool judge_frames(std::span<const std::uint8_t> octets,
                                  std::span<const std::uint32_t> ends, std::uint32_t packet_type,
                                  std::span<std::uint32_t> results) const {
    if (ends.size() != results.size()) return false;
    std::size_t start = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i] < start || ends[i] > octets.size()) return false;
      results[i] = to_number(judge(octets.subspan(start, ends[i] - start), packet_type, table_));
      start = ends[i];
    }
    return true;
  }

  static std::uint32_t to_number(const Judgement& judgement) noexcept {
    return static_cast<std::uint32_t>(judgement.reason) | (std::uint32_t{judgement.bucket} << 8);
  }

  VirtualIpTable table_;
};

}  // namespace

void export_judge(Napi::Env env, Napi::Object exports) {
  exports.Set("Judge", JudgeObject::define(env));
}

}  // namespace clusterip
