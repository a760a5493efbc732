// Engine "bpf" on one interface, as JavaScript sees it: every method answers by a promise.
#pragma once

#include <napi.h>

#include "loader/dataplane.h"
#include "napi/async_call.h"

namespace clusterip {

class BpfObject : public Napi::ObjectWrap<BpfObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit BpfObject(const Napi::CallbackInfo& info);

  [[nodiscard]] const BpfDataplane& dataplane() const noexcept { return dataplane_; }

 private:
  Napi::Value prepare(const Napi::CallbackInfo& info);
  Napi::Value attach(const Napi::CallbackInfo& info);
  Napi::Value detach(const Napi::CallbackInfo& info);
  Napi::Value attachment(const Napi::CallbackInfo& info);
  Napi::Value is_judging(const Napi::CallbackInfo& info);
  Napi::Value is_complete(const Napi::CallbackInfo& info);
  Napi::Value set_virtual_ip(const Napi::CallbackInfo& info);
  Napi::Value set_local(const Napi::CallbackInfo& info);
  Napi::Value remove_virtual_ip(const Napi::CallbackInfo& info);
  Napi::Value virtual_ips(const Napi::CallbackInfo& info);
  Napi::Value nic_counters(const Napi::CallbackInfo& info);
  Napi::Value virtual_ip_counters(const Napi::CallbackInfo& info);

  // `act` runs on a thread of the pool and returns an error or none.
  template <typename Act>
  Napi::Value change(const Napi::CallbackInfo& info, Act act);

  BpfDataplane dataplane_;
  CallQueue changes_;
  CallQueue reads_;
};

// BpfDataplane, probe(), removePrograms(), driverOf()
void export_bpf(Napi::Env env, Napi::Object exports);

}  // namespace clusterip
