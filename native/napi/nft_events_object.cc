// NftEvents in the event loop of Node.js: one call of a function for each burst of changes.
#include "napi/nft_events_object.h"

#include <uv.h>

#include <memory>
#include <utility>

#include "linux/nft_events.h"
#include "napi/napi_util.h"

namespace clusterip {
namespace {

// libuv wants the handle to live until its close callback, which may be after JavaScript has let go
// of the watch.
struct Watch {
  Watch(Napi::Env env, NftEvents opened, const Napi::Function& function)
      : events(std::move(opened)), on_change(Napi::Persistent(function)), context(env, "nft") {}

  NftEvents events;
  Napi::FunctionReference on_change;
  Napi::AsyncContext context;
  uv_poll_t poll{};
};

void on_readable(uv_poll_t* poll, int /*status*/, int /*events*/) {
  auto* watch = static_cast<Watch*>(poll->data);
  if (!watch->events.read_changes()) return;
  const Napi::HandleScope scope(watch->on_change.Env());
  watch->on_change.MakeCallback(watch->on_change.Env().Global(), {}, watch->context);
}

void close(Watch* watch) {
  uv_poll_stop(&watch->poll);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how libuv does inheritance
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll), [](uv_handle_t* handle) {
    const std::unique_ptr<Watch> last(static_cast<Watch*>(handle->data));
  });
}

// watchNft(table, onChange): a function that ends the watch.
Napi::Value watch_nft(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uv_loop_s* loop = nullptr;
  auto opened = NftEvents::open(info[0].ToString().Utf8Value());
  if (const auto* failure = std::get_if<SysError>(&opened)) {
    throw_sys_error(env, *failure);
    return env.Undefined();
  }
  if (!info[1].IsFunction() || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    throw_sys_error(env, {.call = "watchNft", .error = EINVAL});
    return env.Undefined();
  }
  auto watch = std::make_unique<Watch>(env, std::get<NftEvents>(std::move(opened)),
                                       info[1].As<Napi::Function>());
  watch->poll.data = watch.get();
  if (const int failed = uv_poll_init(loop, &watch->poll, watch->events.fd()); failed != 0) {
    throw_sys_error(env, {.call = "uv_poll_init", .error = -failed});
    return env.Undefined();
  }
  Watch* started = watch.release();
  uv_poll_start(&started->poll, UV_READABLE, on_readable);
  return Napi::Function::New(
      env,
      [started, is_open = true](const Napi::CallbackInfo&) mutable {
        if (std::exchange(is_open, false)) close(started);
      },
      "end");
}

}  // namespace

void export_nft_events(Napi::Env env, Napi::Object& exports) {
  exports.Set("watchNft", Napi::Function::New<watch_nft>(env, "watchNft"));
}

}  // namespace clusterip
