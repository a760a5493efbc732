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
  const Napi::Error error =
      Napi::Error::New(env, std::string(failure.call) + ": " + std::strerror(failure.error));
  const char* name = ::strerrorname_np(failure.error);
  error.Set("code", Napi::String::New(env, name != nullptr ? name : "EUNKNOWN"));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.call));
  error.ThrowAsJavaScriptException();
}

inline std::uint32_t to_u32(const Napi::Value& value) {
  return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : 0;
}

inline HashSettings to_hash_settings(const Napi::Object& object) {
  const std::uint32_t mode = to_u32(object.Get("hashMode"));
  const std::uint32_t total = to_u32(object.Get("totalNodes"));
  return {
      .mode = static_cast<HashMode>(mode > 2 ? 2 : mode),
      .total_nodes = static_cast<std::uint8_t>(total < 1           ? 1
                                               : total > kMaxNodes ? kMaxNodes
                                                                   : total),
      .hash_init = to_u32(object.Get("hashInit")),
  };
}

inline std::uint16_t to_mask(const Napi::Value& value) {
  return static_cast<std::uint16_t>(to_u32(value) & 0xffffu);
}

}  // namespace clusterip
