#include "napi/dataplane_object.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "napi/napi_util.h"
#include "userspace/dataplane.h"

namespace clusterip {
namespace {

Napi::Object to_object(Napi::Env env, const Tally& tally) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("frames", Napi::Number::New(env, static_cast<double>(tally.frames)));
  object.Set("bytes", Napi::Number::New(env, static_cast<double>(tally.bytes)));
  return object;
}

template <std::size_t kSize>
Napi::Array to_array(Napi::Env env, const std::array<Tally, kSize>& tallies) {
  Napi::Array array = Napi::Array::New(env, kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    array.Set(static_cast<std::uint32_t>(i), to_object(env, tallies[i]));
  }
  return array;
}

// { program: Uint8Array of sock_filter, notOursWeight, foreignWeights: Uint32Array of pairs }
std::optional<Prefilter> to_prefilter(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const Napi::Value program = object.Get("program");
  const Napi::Value weights = object.Get("foreignWeights");
  if (!program.IsTypedArray() || !weights.IsTypedArray() ||
      weights.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    return std::nullopt;
  }
  const auto octets = program.As<Napi::Uint8Array>();
  const auto pairs = weights.As<Napi::Uint32Array>();
  Prefilter prefilter;
  prefilter.program.resize(octets.ByteLength() / sizeof(sock_filter));
  std::memcpy(prefilter.program.data(), octets.Data(),
              prefilter.program.size() * sizeof(sock_filter));
  prefilter.not_ours_weight = std::max(to_u32(object.Get("notOursWeight")), 1u);
  for (std::size_t i = 0; i + 1 < pairs.ElementLength(); i += 2) {
    prefilter.foreign_weights.push_back(
        {.address_host = pairs[i], .frames = std::max(pairs[i + 1], 1u)});
  }
  return prefilter;
}

class DataplaneObject : public Napi::ObjectWrap<DataplaneObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Dataplane",
        {
            InstanceMethod<&DataplaneObject::close>("close"),
            InstanceMethod<&DataplaneObject::reopen_tun>("reopenTun"),
            InstanceMethod<&DataplaneObject::add_nic>("addNic"),
            InstanceMethod<&DataplaneObject::open_nic>("openNic"),
            InstanceMethod<&DataplaneObject::close_nic>("closeNic"),
            InstanceMethod<&DataplaneObject::remove_nic>("removeNic"),
            InstanceMethod<&DataplaneObject::add_virtual_ip>("addVirtualIp"),
            InstanceMethod<&DataplaneObject::remove_virtual_ip>("removeVirtualIp"),
            InstanceMethod<&DataplaneObject::set_local>("setLocal"),
            InstanceMethod<&DataplaneObject::set_prefilter>("setPrefilter"),
            InstanceMethod<&DataplaneObject::nic_counters>("nicCounters"),
            InstanceMethod<&DataplaneObject::virtual_ip_counters>("virtualIpCounters"),
        });
  }

  explicit DataplaneObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    auto started = Dataplane::start(info[0].ToString().Utf8Value(), to_u32(info[1]));
    if (const auto* error = std::get_if<SysError>(&started)) {
      throw_sys_error(info.Env(), *error);
      return;
    }
    dataplane_ = std::get<std::unique_ptr<Dataplane>>(std::move(started));
  }

 private:
  // Every method but close() goes through here: a closed dataplane answers EBADF.
  Dataplane* open_or_throw(const Napi::CallbackInfo& info) {
    if (!dataplane_) throw_sys_error(info.Env(), {.call = "dataplane", .error = EBADF});
    return dataplane_.get();
  }

  static std::optional<Prefilter> prefilter_or_throw(const Napi::CallbackInfo& info,
                                                     std::size_t argument) {
    std::optional<Prefilter> prefilter = to_prefilter(info[argument]);
    if (!prefilter) throw_sys_error(info.Env(), {.call = "prefilter", .error = EINVAL});
    return prefilter;
  }

  static Napi::Value finish(const Napi::CallbackInfo& info, const std::optional<SysError>& error) {
    if (error) throw_sys_error(info.Env(), *error);
    return info.Env().Undefined();
  }

  static Napi::Value finish(const Napi::CallbackInfo& info, const Result<Dataplane::Id>& result) {
    if (const auto* error = std::get_if<SysError>(&result)) {
      throw_sys_error(info.Env(), *error);
      return info.Env().Undefined();
    }
    return Napi::Number::New(info.Env(), std::get<Dataplane::Id>(result));
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    dataplane_.reset();
    return info.Env().Undefined();
  }

  Napi::Value reopen_tun(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    return finish(info, dataplane->reopen_tun(info[0].ToString().Utf8Value()));
  }

  Napi::Value add_nic(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    return finish(info, dataplane->add_nic());
  }

  Napi::Value open_nic(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    return finish(info, dataplane->open_nic(to_u32(info[0]), static_cast<int>(to_u32(info[1]))));
  }

  Napi::Value close_nic(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    return finish(info, dataplane->close_nic(to_u32(info[0])));
  }

  Napi::Value remove_nic(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    return finish(info, dataplane->remove_nic(to_u32(info[0])));
  }

  Napi::Value add_virtual_ip(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    const Napi::Value cluster_mac_value =
        info[1].IsObject() ? info[1].As<Napi::Object>().Get("clusterMac") : info.Env().Undefined();
    VirtualIpSettings settings;
    if (!cluster_mac_value.IsTypedArray() ||
        cluster_mac_value.As<Napi::TypedArray>().ByteLength() != settings.cluster_mac.size()) {
      throw_sys_error(info.Env(), {.call = "addVirtualIp", .error = EINVAL});
      return info.Env().Undefined();
    }
    const auto object = info[1].As<Napi::Object>();
    const auto octets = cluster_mac_value.As<Napi::Uint8Array>();
    std::copy_n(octets.Data(), settings.cluster_mac.size(), settings.cluster_mac.begin());
    settings.address_host = to_u32(object.Get("addressHost"));
    settings.rule = to_rule(object);
    const auto prefilter = prefilter_or_throw(info, 2);
    if (!prefilter) return info.Env().Undefined();
    return finish(info, dataplane->add_virtual_ip(to_u32(info[0]), settings, *prefilter));
  }

  Napi::Value remove_virtual_ip(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    const auto prefilter = prefilter_or_throw(info, 1);
    if (!prefilter) return info.Env().Undefined();
    return finish(info, dataplane->remove_virtual_ip(to_u32(info[0]), *prefilter));
  }

  Napi::Value set_local(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    const auto prefilter = prefilter_or_throw(info, 2);
    if (!prefilter) return info.Env().Undefined();
    return finish(info, dataplane->set_local(to_u32(info[0]), to_bucket_mask(info[1]), *prefilter));
  }

  Napi::Value set_prefilter(const Napi::CallbackInfo& info) {
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return info.Env().Undefined();
    const auto prefilter = prefilter_or_throw(info, 1);
    if (!prefilter) return info.Env().Undefined();
    const bool drops_more = info[2].ToBoolean();
    return finish(info, dataplane->set_prefilter(to_u32(info[0]), *prefilter, drops_more));
  }

  Napi::Value nic_counters(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return env.Undefined();
    const auto result = dataplane->nic_counters(to_u32(info[0]));
    if (const auto* error = std::get_if<SysError>(&result)) {
      throw_sys_error(env, *error);
      return env.Undefined();
    }
    const auto& counters = std::get<NicCounters>(result);
    Napi::Object object = Napi::Object::New(env);
    object.Set("received", to_object(env, counters.received));
    object.Set("receivedVariance", counters.received_variance.frames);
    object.Set("byReason", to_array(env, counters.by_reason));
    object.Set("byEngineDrop", to_array(env, counters.by_drop));
    object.Set("kernelDropped", static_cast<double>(counters.kernel_dropped));
    object.Set("captureErrors", static_cast<double>(counters.capture_errors));
    object.Set("lastDeliveryErrno", counters.last_delivery_error.number);
    object.Set("prefilterErrno", counters.prefilter_errno);
    object.Set("isCaptureStale", counters.is_capture_stale);
    return object;
  }

  Napi::Value virtual_ip_counters(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Dataplane* dataplane = open_or_throw(info);
    if (dataplane == nullptr) return env.Undefined();
    const auto result = dataplane->virtual_ip_counters(to_u32(info[0]));
    if (const auto* error = std::get_if<SysError>(&result)) {
      throw_sys_error(env, *error);
      return env.Undefined();
    }
    const auto& counters = std::get<VirtualIpCounters>(result);
    Napi::Object object = Napi::Object::New(env);
    object.Set("local", to_array(env, counters.local));
    object.Set("foreign", to_array(env, counters.foreign));
    object.Set("foreignVariance", counters.foreign_variance.frames);
    object.Set("withoutBucket", to_object(env, counters.without_bucket));
    return object;
  }

  std::unique_ptr<Dataplane> dataplane_;
};

}  // namespace

void export_dataplane(Napi::Env env, Napi::Object exports) {
  exports.Set("Dataplane", DataplaneObject::define(env));
}

}  // namespace clusterip
