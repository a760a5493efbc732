// Small helpers between N-API values and ours. Arguments come from src/native.ts alone, which
// is typed; what is checked here keeps a wrong call from crashing the process.
#pragma once

#include <napi.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "linux/sys.h"
#include "verdict/judgement.h"

namespace clusterip {

// An Error with `code` (ENODEV, ...), `errno` and `syscall`.
inline Napi::Error to_error(Napi::Env env, const SysError& failure) {
  const char* name = ::strerrorname_np(failure.error);
  const char* sentence = ::strerrordesc_np(failure.error);
  Napi::Error error = Napi::Error::New(
      env, std::string(failure.call) + ": " + (sentence != nullptr ? sentence : "unknown error"));
  error.Set("code", Napi::String::New(env, name != nullptr ? name : "EUNKNOWN"));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.call));
  return error;
}

// Throws it into JavaScript.
inline void throw_sys_error(Napi::Env env, const SysError& failure) {
  to_error(env, failure).ThrowAsJavaScriptException();
}

inline std::uint32_t to_u32(const Napi::Value& value) {
  // One call: it fails where there is no number, and asking first would double the cost.
  std::uint32_t number = 0;
  return napi_get_value_uint32(value.Env(), value, &number) == napi_ok ? number : 0;
}

inline std::uint16_t to_bucket_mask(const Napi::Value& value) {
  return static_cast<std::uint16_t>(to_u32(value) & 0xffffu);
}

inline clusterip_rule to_rule(std::uint32_t hash_mode, std::uint32_t bucket_count,
                              std::uint32_t hash_init, std::uint16_t local_mask) {
  constexpr std::uint32_t kLastMode = HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT;
  return {
      .hash_init = hash_init,
      .local_mask = local_mask,
      .hash_mode = static_cast<std::uint8_t>(std::min(hash_mode, kLastMode)),
      .bucket_count = static_cast<std::uint8_t>(
          std::clamp<std::uint32_t>(bucket_count, 1, CLUSTERIP_MAX_BUCKETS)),
  };
}

inline clusterip_rule to_rule(const Napi::Object& object) {
  return to_rule(to_u32(object.Get("hashMode")), to_u32(object.Get("bucketCount")),
                 to_u32(object.Get("hashInit")), to_bucket_mask(object.Get("localMask")));
}

}  // namespace clusterip
