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

Napi::Value to_object(Napi::Env env, const BpfAttachment& attachment) {
  const auto& [tc, tc_id, xdp, xdp_error, xdp_other_id] = attachment;
  Napi::Object object = Napi::Object::New(env);
  object.Set("tc", !tc ? "none" : *tc == TcWay::kTcx ? "tcx" : "clsact");
  object.Set("tcProgram", tc_id);
  object.Set("xdp", xdp == XdpMode::kOff ? "off" : xdp == XdpMode::kNative ? "native" : "generic");
  object.Set("xdpErrno", xdp_error);
  object.Set("xdpOtherProgram", xdp_other_id);
  return object;
}

// probe(objectPath)
Napi::Value probe(const Napi::CallbackInfo& info) {
  return call_alone(
      info, [path = info[0].ToString().Utf8Value()] { return result_of(probe_bpf(path)); },
      to_undefined);
}

// removePrograms(ifindex)
Napi::Value remove_programs_from(const Napi::CallbackInfo& info) {
  return call_alone(
      info, [ifindex = static_cast<int>(to_u32(info[0]))] { return remove_programs(ifindex); },
      to_boolean);
}

// driverOf(ifindex)
Napi::Value driver_name(const Napi::CallbackInfo& info) {
  return call_alone(
      info,
      [ifindex = static_cast<int>(to_u32(info[0]))]() -> Result<std::string> {
        return driver_of(ifindex);
      },
      [](Napi::Env env, const std::string& name) { return Napi::String::New(env, name); });
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

template <typename Act>
Napi::Value BpfObject::change(const Napi::CallbackInfo& info, Act act) {
  return changes_.call(
      info, [act = std::move(act)] { return result_of(act()); }, to_undefined);
}

Napi::Value BpfObject::prepare(const Napi::CallbackInfo& info) {
  return changes_.call(
      info,
      [this, ifindex = static_cast<int>(to_u32(info[0]))] { return dataplane_.prepare(ifindex); },
      to_boolean);
}

// attach(ifindex, xdpMode, forceClsact)
Napi::Value BpfObject::attach(const Napi::CallbackInfo& info) {
  const std::uint32_t mode = to_u32(info[1]);
  const AttachOptions options{
      .xdp = static_cast<XdpMode>(mode > 2 ? 0 : mode),
      .tc = info[2].ToBoolean() ? TcWay::kClsact : TcWay::kTcx,
  };
  return change(info, [this, ifindex = static_cast<int>(to_u32(info[0])), options] {
    return dataplane_.attach(ifindex, options);
  });
}

Napi::Value BpfObject::detach(const Napi::CallbackInfo& info) {
  return change(info, [this] { return dataplane_.detach(); });
}

Napi::Value BpfObject::attachment(const Napi::CallbackInfo& info) {
  return reads_.call(
      info, [this]() -> Result<BpfAttachment> { return dataplane_.attachment(); },
      [](Napi::Env env, const BpfAttachment& attachment) { return to_object(env, attachment); });
}

Napi::Value BpfObject::is_judging(const Napi::CallbackInfo& info) {
  return reads_.call(
      info, [this] { return dataplane_.is_judging(); }, to_boolean);
}

Napi::Value BpfObject::is_complete(const Napi::CallbackInfo& info) {
  return reads_.call(
      info, [this] { return dataplane_.is_complete(); }, to_boolean);
}

Napi::Value BpfObject::set_virtual_ip(const Napi::CallbackInfo& info) {
  BpfSettings settings;
  const Napi::Value mac =
      info[0].IsObject() ? info[0].As<Napi::Object>().Get("clusterMac") : info.Env().Undefined();
  if (!mac.IsTypedArray() ||
      mac.As<Napi::TypedArray>().ByteLength() != settings.cluster_mac.size()) {
    return rejected(info.Env(), {.call = "setVirtualIp", .error = EINVAL});
  }
  const auto object = info[0].As<Napi::Object>();
  std::copy_n(mac.As<Napi::Uint8Array>().Data(), settings.cluster_mac.size(),
              settings.cluster_mac.begin());
  settings.address_wire = to_address(object.Get("addressHost"));
  settings.rule = to_rule(object);
  return change(info, [this, settings] { return dataplane_.set_virtual_ip(settings); });
}

Napi::Value BpfObject::set_local(const Napi::CallbackInfo& info) {
  return change(info, [this, address = to_address(info[0]), mask = to_bucket_mask(info[1])] {
    return dataplane_.set_local(address, mask);
  });
}

Napi::Value BpfObject::remove_virtual_ip(const Napi::CallbackInfo& info) {
  return change(info, [this, address = to_address(info[0])] {
    return dataplane_.remove_virtual_ip(address);
  });
}

Napi::Value BpfObject::virtual_ips(const Napi::CallbackInfo& info) {
  return reads_.call(
      info, [this] { return dataplane_.list(); },
      [](Napi::Env env, const std::vector<BpfVirtualIp>& entries) {
        Napi::Array array = Napi::Array::New(env);
        for (const auto& [address_wire, settings] : entries) {
          Napi::Object object = Napi::Object::New(env);
          object.Set("addressHost", Napi::Number::New(env, ntohl(address_wire)));
          object.Set("localMask", Napi::Number::New(env, settings.rule.local_mask));
          object.Set("clusterMac", Napi::Buffer<std::uint8_t>::Copy(env, settings.cluster_mac, 6));
          object.Set("ownsMac", (settings.flags & VIRTUAL_IP_OWNS_MAC) != 0);
          array.Set(array.Length(), object);
        }
        return array;
      });
}

Napi::Value BpfObject::nic_counters(const Napi::CallbackInfo& info) {
  return reads_.call(
      info, [this] { return dataplane_.count_nic(); },
      [](Napi::Env env, const clusterip_nic_counters& counters) {
        // There is room for more reasons than there are.
        return to_array(env, std::span(counters.by_reason).first(REASON_COUNT));
      });
}

Napi::Value BpfObject::virtual_ip_counters(const Napi::CallbackInfo& info) {
  return reads_.call(
      info, [this, address = to_address(info[0])] { return dataplane_.count_virtual_ip(address); },
      [](Napi::Env env, const clusterip_vip_counters& sums) {
        Napi::Object object = Napi::Object::New(env);
        object.Set("local", to_array(env, sums.local));
        object.Set("foreign", to_array(env, sums.foreign));
        object.Set("withoutBucket", to_object(env, sums.without_bucket));
        return object;
      });
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
