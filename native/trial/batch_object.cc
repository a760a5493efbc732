#include "trial/batch_object.h"

#include <optional>

#include "napi/napi_util.h"
#include "trial/batch.h"

namespace clusterip {
namespace {

template <typename T>
std::optional<std::span<T>> to_span(const Napi::Value& value, napi_typedarray_type type) {
  // All that is asked of the array in one call: with four arrays that is most of the batch's cost.
  napi_typedarray_type actual{};
  std::size_t length = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &actual, &length, &data, nullptr, nullptr);
  if (status != napi_ok || actual != type) return std::nullopt;
  return std::span<T>(static_cast<T*>(data), length);
}

// bucketsOf(hashMode, bucketCount, hashInit, saddrHost, sourcePortWords, destinationPortWords,
//           buckets, path?)
Napi::Value buckets_of_flows(const Napi::CallbackInfo& info) {
  const auto saddr = to_span<std::uint32_t>(info[3], napi_uint32_array);
  const auto sources = to_span<std::uint16_t>(info[4], napi_uint16_array);
  const auto destinations = to_span<std::uint16_t>(info[5], napi_uint16_array);
  const auto buckets = to_span<std::uint8_t>(info[6], napi_uint8_array);
  const std::uint32_t wanted = to_u32(info[7]);
  const auto path = info[7].IsNumber() ? static_cast<BatchPath>(wanted & 0xffu) : best_path();
  const bool is_valid = saddr && sources && destinations && buckets &&
                        saddr->size() == buckets->size() && sources->size() == buckets->size() &&
                        destinations->size() == buckets->size() && wanted <= 0xff && can_run(path);
  if (!is_valid) {
    throw_sys_error(info.Env(), {.call = "bucketsOf", .error = EINVAL});
    return info.Env().Undefined();
  }
  buckets_of({.saddr_host = *saddr,
              .source_ports = *sources,
              .destination_ports = *destinations,
              .buckets = *buckets},
             to_rule(to_u32(info[0]), to_u32(info[1]), to_u32(info[2]), 0), path);
  return info.Env().Undefined();
}

// batchPaths(): the names of the paths by index, those that this CPU cannot run as undefined
Napi::Value batch_paths(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env(), kBatchPathNames.size());
  for (std::uint32_t i = 0; i < kBatchPathNames.size(); ++i) {
    const bool runs = can_run(static_cast<BatchPath>(i));
    names.Set(i, runs ? Napi::Value(Napi::String::New(info.Env(), kBatchPathNames[i]))
                      : info.Env().Undefined());
  }
  return names;
}

}  // namespace

void export_batch(Napi::Env env, Napi::Object exports) {
  exports.Set("bucketsOf", Napi::Function::New<buckets_of_flows>(env, "bucketsOf"));
  exports.Set("batchPaths", Napi::Function::New<batch_paths>(env, "batchPaths"));
}

}  // namespace clusterip
