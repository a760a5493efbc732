#include "napi/dataplane_object.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "napi/async_call.h"
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

Napi::Value to_value(Napi::Env env, Dataplane::Id id) { return Napi::Number::New(env, id); }

Napi::Value to_value(Napi::Env env, const NicCounters& counters) {
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

Napi::Value to_value(Napi::Env env, const VirtualIpCounters& counters) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("local", to_array(env, counters.local));
  object.Set("foreign", to_array(env, counters.foreign));
  object.Set("foreignVariance", counters.foreign_variance.frames);
  object.Set("withoutBucket", to_object(env, counters.without_bucket));
  return object;
}

std::optional<VirtualIpSettings> to_settings(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const Napi::Value mac = object.Get("clusterMac");
  VirtualIpSettings settings;
  if (!mac.IsTypedArray() ||
      mac.As<Napi::TypedArray>().ByteLength() != settings.cluster_mac.size()) {
    return std::nullopt;
  }
  std::copy_n(mac.As<Napi::Uint8Array>().Data(), settings.cluster_mac.size(),
              settings.cluster_mac.begin());
  settings.address_host = to_u32(object.Get("addressHost"));
  settings.rule = to_rule(object);
  return settings;
}

// Without a dataplane before open() and from close() on: then every call fails with EBADF.
class DataplaneObject : public Napi::ObjectWrap<DataplaneObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Dataplane",
        {
            InstanceMethod<&DataplaneObject::open>("open"),
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

  explicit DataplaneObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  // `act` gets the dataplane, on a thread of the pool, and returns an error or none.
  template <typename Act>
  Napi::Value change(const Napi::CallbackInfo& info, Act act) {
    return call(
        changes_, info,
        [act = std::move(act)](Dataplane& dataplane) { return result_of(act(dataplane)); },
        to_undefined);
  }

  template <typename Act, typename ToValue>
  Napi::Value call(CallQueue& queue, const Napi::CallbackInfo& info, Act act, ToValue to_js) {
    if (!dataplane_) return rejected(info.Env(), {.call = "dataplane", .error = EBADF});
    return queue.call(
        info, [dataplane = dataplane_, act = std::move(act)]() mutable { return act(*dataplane); },
        to_js);
  }

  static Napi::Value invalid(const Napi::CallbackInfo& info, const char* what) {
    return rejected(info.Env(), {.call = what, .error = EINVAL});
  }

  Napi::Value open(const Napi::CallbackInfo& info) {
    return changes_.call(
        info,
        [name = info[0].ToString().Utf8Value(), workers = to_u32(info[1])]() {
          return Dataplane::start(name, workers);
        },
        [this](Napi::Env env, std::unique_ptr<Dataplane>& started) {
          dataplane_ = std::move(started);
          return env.Undefined();
        });
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    return changes_.call(
        info,
        [dataplane = std::exchange(dataplane_, nullptr)]() -> Result<Nothing> {
          if (dataplane) dataplane->stop();
          return Nothing{};
        },
        to_undefined);
  }

  Napi::Value reopen_tun(const Napi::CallbackInfo& info) {
    return change(info, [name = info[0].ToString().Utf8Value()](Dataplane& dataplane) {
      return dataplane.reopen_tun(name);
    });
  }

  Napi::Value add_nic(const Napi::CallbackInfo& info) {
    return call(
        changes_, info, [](Dataplane& dataplane) { return dataplane.add_nic(); },
        [](Napi::Env env, Dataplane::Id id) { return to_value(env, id); });
  }

  Napi::Value open_nic(const Napi::CallbackInfo& info) {
    return change(info, [nic = to_u32(info[0]), ifindex = static_cast<int>(to_u32(info[1]))](
                            Dataplane& dataplane) { return dataplane.open_nic(nic, ifindex); });
  }

  Napi::Value close_nic(const Napi::CallbackInfo& info) {
    return change(
        info, [nic = to_u32(info[0])](Dataplane& dataplane) { return dataplane.close_nic(nic); });
  }

  Napi::Value remove_nic(const Napi::CallbackInfo& info) {
    return change(
        info, [nic = to_u32(info[0])](Dataplane& dataplane) { return dataplane.remove_nic(nic); });
  }

  Napi::Value add_virtual_ip(const Napi::CallbackInfo& info) {
    auto settings = to_settings(info[1]);
    auto prefilter = to_prefilter(info[2]);
    if (!settings || !prefilter) return invalid(info, "addVirtualIp");
    return call(
        changes_, info,
        [nic = to_u32(info[0]), settings = *settings, prefilter = *std::move(prefilter)](
            Dataplane& dataplane) { return dataplane.add_virtual_ip(nic, settings, prefilter); },
        [](Napi::Env env, Dataplane::Id id) { return to_value(env, id); });
  }

  Napi::Value remove_virtual_ip(const Napi::CallbackInfo& info) {
    auto prefilter = to_prefilter(info[1]);
    if (!prefilter) return invalid(info, "removeVirtualIp");
    return change(info,
                  [id = to_u32(info[0]), prefilter = *std::move(prefilter)](Dataplane& dataplane) {
                    return dataplane.remove_virtual_ip(id, prefilter);
                  });
  }

  Napi::Value set_local(const Napi::CallbackInfo& info) {
    auto prefilter = to_prefilter(info[2]);
    if (!prefilter) return invalid(info, "setLocal");
    return change(info, [id = to_u32(info[0]), mask = to_bucket_mask(info[1]),
                         prefilter = *std::move(prefilter)](Dataplane& dataplane) {
      return dataplane.set_local(id, mask, prefilter);
    });
  }

  Napi::Value set_prefilter(const Napi::CallbackInfo& info) {
    auto prefilter = to_prefilter(info[1]);
    if (!prefilter) return invalid(info, "setPrefilter");
    return change(info, [nic = to_u32(info[0]), prefilter = *std::move(prefilter),
                         drops_more = info[2].ToBoolean().Value()](Dataplane& dataplane) {
      return dataplane.set_prefilter(nic, prefilter, drops_more);
    });
  }

  Napi::Value nic_counters(const Napi::CallbackInfo& info) {
    return call(
        reads_, info,
        [nic = to_u32(info[0])](Dataplane& dataplane) { return dataplane.nic_counters(nic); },
        [](Napi::Env env, const NicCounters& counters) { return to_value(env, counters); });
  }

  Napi::Value virtual_ip_counters(const Napi::CallbackInfo& info) {
    return call(
        reads_, info,
        [id = to_u32(info[0])](Dataplane& dataplane) { return dataplane.virtual_ip_counters(id); },
        [](Napi::Env env, const VirtualIpCounters& counters) { return to_value(env, counters); });
  }

  // What is on its way has it, too: it lives until that has answered.
  std::shared_ptr<Dataplane> dataplane_;
  CallQueue changes_;
  CallQueue reads_;
};

}  // namespace

void export_dataplane(Napi::Env env, Napi::Object exports) {
  exports.Set("Dataplane", DataplaneObject::define(env));
}

}  // namespace clusterip
