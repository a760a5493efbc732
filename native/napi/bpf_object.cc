#include "napi/bpf_object.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "loader/host.h"
#include "napi/napi_util.h"

namespace clusterip {
namespace {

Napi::Object to_object(Napi::Env env, const clusterip_tally& tally) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("frames", Napi::Number::New(env, static_cast<double>(tally.frames)));
  object.Set("bytes", Napi::Number::New(env, static_cast<double>(tally.bytes)));
  return object;
}

Napi::Array to_array(Napi::Env env, std::span<const clusterip_tally> tallies) {
  Napi::Array array = Napi::Array::New(env, tallies.size());
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    array.Set(static_cast<std::uint32_t>(i), to_object(env, tallies[i]));
  }
  return array;
}

in_addr_t to_address(const Napi::Value& value) { return htonl(to_u32(value)); }

Napi::Value fail(const Napi::CallbackInfo& info, const SysError& error) {
  throw_sys_error(info.Env(), error);
  return info.Env().Undefined();
}

Napi::Value finish(const Napi::CallbackInfo& info, const std::optional<SysError>& error) {
  return error ? fail(info, *error) : info.Env().Undefined();
}

Napi::Value answer(const Napi::CallbackInfo& info, const Result<bool>& result) {
  if (const auto* error = std::get_if<SysError>(&result)) return fail(info, *error);
  return Napi::Boolean::New(info.Env(), std::get<bool>(result));
}

// probe(objectPath)
Napi::Value probe(const Napi::CallbackInfo& info) {
  if (const auto error = probe_bpf(info[0].ToString().Utf8Value())) {
    throw_sys_error(info.Env(), *error);
  }
  return info.Env().Undefined();
}

// removePrograms(ifindex)
Napi::Value remove_programs_from(const Napi::CallbackInfo& info) {
  const auto removed = remove_programs(static_cast<int>(to_u32(info[0])));
  if (const auto* error = std::get_if<SysError>(&removed)) {
    throw_sys_error(info.Env(), *error);
    return info.Env().Undefined();
  }
  return Napi::Boolean::New(info.Env(), std::get<bool>(removed));
}

// driverOf(ifindex)
Napi::Value driver_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), driver_of(static_cast<int>(to_u32(info[0]))));
}

}  // namespace

Napi::Function BpfObject::define(Napi::Env env) {
  return DefineClass(env, "BpfDataplane",
                     {
                         InstanceMethod<&BpfObject::prepare>("prepare"),
                         InstanceMethod<&BpfObject::attach>("attach"),
                         InstanceMethod<&BpfObject::detach>("detach"),
                         InstanceMethod<&BpfObject::attachment>("attachment"),
                         InstanceMethod<&BpfObject::is_judging>("isJudging"),
                         InstanceMethod<&BpfObject::is_complete>("isComplete"),
                         InstanceMethod<&BpfObject::set_virtual_ip>("setVirtualIp"),
                         InstanceMethod<&BpfObject::set_local>("setLocal"),
                         InstanceMethod<&BpfObject::remove_virtual_ip>("removeVirtualIp"),
                         InstanceMethod<&BpfObject::virtual_ips>("virtualIps"),
                         InstanceMethod<&BpfObject::nic_counters>("nicCounters"),
                         InstanceMethod<&BpfObject::virtual_ip_counters>("virtualIpCounters"),
                     });
}

BpfObject::BpfObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), dataplane_(info[0].ToString().Utf8Value()) {}

Napi::Value BpfObject::prepare(const Napi::CallbackInfo& info) {
  const auto error = dataplane_.prepare(static_cast<int>(to_u32(info[0])));
  if (error) return fail(info, *error);
  return Napi::Boolean::New(info.Env(), dataplane_.found_other_layout());
}

// attach(ifindex, xdpMode, forceClsact)
Napi::Value BpfObject::attach(const Napi::CallbackInfo& info) {
  const std::uint32_t mode = to_u32(info[1]);
  const bool force_clsact = info[2].ToBoolean();
  return finish(info, dataplane_.attach(static_cast<int>(to_u32(info[0])),
                                        {.xdp = static_cast<XdpMode>(mode > 2 ? 0 : mode),
                                         .tc = force_clsact ? TcWay::kClsact : TcWay::kTcx}));
}

Napi::Value BpfObject::detach(const Napi::CallbackInfo& info) {
  return finish(info, dataplane_.detach());
}

Napi::Value BpfObject::attachment(const Napi::CallbackInfo& info) {
  const auto& tc = dataplane_.tc();
  const auto& xdp = dataplane_.xdp();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("tc", !tc ? "none" : tc->way == TcWay::kTcx ? "tcx" : "clsact");
  object.Set("tcProgram", tc ? tc->program.info.id : 0);
  object.Set("xdp", !xdp ? "off" : xdp->mode == XdpMode::kNative ? "native" : "generic");
  object.Set("xdpErrno", dataplane_.xdp_error());
  object.Set("xdpOtherProgram", dataplane_.xdp_other_id());
  return object;
}

Napi::Value BpfObject::is_judging(const Napi::CallbackInfo& info) {
  return answer(info, dataplane_.is_judging());
}

Napi::Value BpfObject::is_complete(const Napi::CallbackInfo& info) {
  return answer(info, dataplane_.is_complete());
}

Napi::Value BpfObject::set_virtual_ip(const Napi::CallbackInfo& info) {
  BpfSettings settings;
  const Napi::Value mac =
      info[0].IsObject() ? info[0].As<Napi::Object>().Get("clusterMac") : info.Env().Undefined();
  if (!mac.IsTypedArray() ||
      mac.As<Napi::TypedArray>().ByteLength() != settings.cluster_mac.size()) {
    return fail(info, SysError{.call = "setVirtualIp", .error = EINVAL});
  }
  const auto object = info[0].As<Napi::Object>();
  std::copy_n(mac.As<Napi::Uint8Array>().Data(), settings.cluster_mac.size(),
              settings.cluster_mac.begin());
  settings.address_wire = to_address(object.Get("addressHost"));
  settings.rule = to_rule(object);
  return finish(info, dataplane_.set_virtual_ip(settings));
}

Napi::Value BpfObject::set_local(const Napi::CallbackInfo& info) {
  return finish(info, dataplane_.set_local(to_address(info[0]), to_bucket_mask(info[1])));
}

Napi::Value BpfObject::remove_virtual_ip(const Napi::CallbackInfo& info) {
  return finish(info, dataplane_.remove_virtual_ip(to_address(info[0])));
}

Napi::Value BpfObject::virtual_ips(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto entries = dataplane_.maps().list();
  if (const auto* error = std::get_if<SysError>(&entries)) return fail(info, *error);
  Napi::Array array = Napi::Array::New(env);
  for (const auto& [address_wire, settings] : std::get<std::vector<BpfVirtualIp>>(entries)) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("addressHost", Napi::Number::New(env, ntohl(address_wire)));
    object.Set("localMask", Napi::Number::New(env, settings.rule.local_mask));
    object.Set("clusterMac", Napi::Buffer<std::uint8_t>::Copy(env, settings.cluster_mac, 6));
    object.Set("ownsMac", (settings.flags & VIRTUAL_IP_OWNS_MAC) != 0);
    array.Set(array.Length(), object);
  }
  return array;
}

Napi::Value BpfObject::nic_counters(const Napi::CallbackInfo& info) {
  const auto counters = dataplane_.maps().count_nic();
  if (const auto* error = std::get_if<SysError>(&counters)) return fail(info, *error);
  // There is room for more reasons than there are.
  return to_array(info.Env(), std::span(std::get<0>(counters).by_reason).first(REASON_COUNT));
}

Napi::Value BpfObject::virtual_ip_counters(const Napi::CallbackInfo& info) {
  const auto counters = dataplane_.maps().count_virtual_ip(to_address(info[0]));
  if (const auto* error = std::get_if<SysError>(&counters)) return fail(info, *error);
  const auto& sums = std::get<clusterip_vip_counters>(counters);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("local", to_array(info.Env(), sums.local));
  object.Set("foreign", to_array(info.Env(), sums.foreign));
  object.Set("withoutBucket", to_object(info.Env(), sums.without_bucket));
  return object;
}

void export_bpf(Napi::Env env, Napi::Object exports) {
  // libbpf would write to standard error; failures are told by their errno.
  libbpf_set_print(nullptr);
  exports.Set("BpfDataplane", BpfObject::define(env));
  exports.Set("probe", Napi::Function::New<probe>(env, "probe"));
  exports.Set("removePrograms", Napi::Function::New<remove_programs_from>(env, "removePrograms"));
  exports.Set("driverOf", Napi::Function::New<driver_name>(env, "driverOf"));
}

}  // namespace clusterip
