// Small helpers between N-API values and ours. Arguments come from src/native.ts alone, which
// is typed; what is checked here keeps a wrong call from crashing the process.
#pragma once

#include <napi.h>

#include <cstring>
#include <string>

#include "capture.h"
#include "dataplane.h"
#include "sys.h"

namespace clusterip {

// Throws into JavaScript: an Error with `code` (ENODEV, ...), `errno` and `syscall`.
inline void throw_sys_error(Napi::Env env, const SysError& failure) {
  const char* name = ::strerrorname_np(failure.error);
  const char* sentence = ::strerrordesc_np(failure.error);
  const Napi::Error error = Napi::Error::New(
      env, std::string(failure.call) + ": " + (sentence != nullptr ? sentence : "unknown error"));
  error.Set("code", Napi::String::New(env, name != nullptr ? name : "EUNKNOWN"));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.call));
  error.ThrowAsJavaScriptException();
}

inline std::uint32_t to_u32(const Napi::Value& value) {
  // One call: it fails where there is no number, and asking first would double the cost.
  std::uint32_t number = 0;
  return napi_get_value_uint32(value.Env(), value, &number) == napi_ok ? number : 0;
}

inline HashSettings to_hash_settings(std::uint32_t mode, std::uint32_t total,
                                     std::uint32_t hash_init) {
  return {
      .mode = static_cast<HashMode>(mode > 2 ? 2 : mode),
      .total_nodes = static_cast<std::uint8_t>(total < 1           ? 1
                                               : total > kMaxNodes ? kMaxNodes
                                                                   : total),
      .hash_init = hash_init,
  };
}

inline HashSettings to_hash_settings(const Napi::Object& object) {
  return to_hash_settings(to_u32(object.Get("hashMode")), to_u32(object.Get("totalNodes")),
                          to_u32(object.Get("hashInit")));
}

inline std::uint16_t to_mask(const Napi::Value& value) {
  return static_cast<std::uint16_t>(to_u32(value) & 0xffffu);
}

}  // namespace clusterip
