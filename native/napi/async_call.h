// Calls that may wait, for a CPU, a worker or the kernel's own locks: they run on Node.js's thread
// pool and answer by a promise, so that the event loop never waits. What fails rejects with the
// error that throw_sys_error() would throw.
#pragma once

#include <napi.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "linux/sys.h"
#include "napi/napi_util.h"

namespace clusterip {

// What a change that succeeds answers.
struct Nothing {};

[[nodiscard]] inline Result<Nothing> result_of(const std::optional<SysError>& error) {
  if (error) return *error;
  return Nothing{};
}

[[nodiscard]] inline Napi::Value to_undefined(Napi::Env env, const Nothing& /*none*/) {
  return env.Undefined();
}

[[nodiscard]] inline Napi::Value to_boolean(Napi::Env env, bool value) {
  return Napi::Boolean::New(env, value);
}

// A promise that is rejected already.
[[nodiscard]] inline Napi::Value rejected(Napi::Env env, const SysError& failure) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(to_error(env, failure).Value());
  return deferred.Promise();
}

// Calls of one object run one after the other, in the order in which they came. The object, which
// has the queue, is kept until the last one has answered. To be used on the main thread.
class CallQueue {
 public:
  // `work` runs on a thread of the pool and returns a Result; `to_value` makes of what is in it the
  // value of the promise, on the main thread.
  template <typename Work, typename ToValue>
  Napi::Value call(const Napi::CallbackInfo& info, Work work, ToValue to_value);

  class Call;

 private:
  void start_next();

  std::deque<std::unique_ptr<Call>> waiting_;
  bool is_running_ = false;
};

class CallQueue::Call final : public Napi::AsyncWorker {
 public:
  using Answer = std::function<Napi::Value(Napi::Env)>;

  Call(const Napi::CallbackInfo& info, CallQueue* queue,
       std::function<std::optional<SysError>()> work, Answer answer)
      : AsyncWorker(info.Env()),
        deferred_(Napi::Promise::Deferred::New(info.Env())),
        queue_(queue),
        work_(std::move(work)),
        answer_(std::move(answer)) {
    if (info.This().IsObject()) object_ = Napi::Persistent(info.This().As<Napi::Object>());
  }

  [[nodiscard]] Napi::Value promise() const { return deferred_.Promise(); }

 private:
  void Execute() override { failure_ = work_(); }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(to_error(Env(), *failure_).Value());
    } else {
      deferred_.Resolve(answer_(Env()));
    }
    if (queue_ == nullptr) return;
    queue_->is_running_ = false;
    queue_->start_next();
  }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference object_;
  CallQueue* queue_;
  std::function<std::optional<SysError>()> work_;
  Answer answer_;
  std::optional<SysError> failure_;
};

inline void CallQueue::start_next() {
  if (is_running_ || waiting_.empty()) return;
  is_running_ = true;
  Call* next = waiting_.front().release();
  waiting_.pop_front();
  next->Queue();  // deletes itself when it has answered
}

template <typename Work, typename ToValue>
std::unique_ptr<CallQueue::Call> make_call(const Napi::CallbackInfo& info, CallQueue* queue,
                                           Work work, ToValue to_value) {
  using Outcome = decltype(work());
  const auto outcome = std::make_shared<std::optional<Outcome>>();
  return std::make_unique<CallQueue::Call>(
      info, queue,
      [work = std::move(work), outcome]() mutable -> std::optional<SysError> {
        outcome->emplace(work());
        if (const auto* error = std::get_if<SysError>(&**outcome)) return *error;
        return std::nullopt;
      },
      [to_value = std::move(to_value), outcome](Napi::Env env) -> Napi::Value {
        return to_value(env, std::get<0>(**outcome));
      });
}

template <typename Work, typename ToValue>
Napi::Value CallQueue::call(const Napi::CallbackInfo& info, Work work, ToValue to_value) {
  waiting_.push_back(make_call(info, this, std::move(work), std::move(to_value)));
  const Napi::Value promise = waiting_.back()->promise();
  start_next();
  return promise;
}

// One that waits for no other.
template <typename Work, typename ToValue>
Napi::Value call_alone(const Napi::CallbackInfo& info, Work work, ToValue to_value) {
  auto call = make_call(info, nullptr, std::move(work), std::move(to_value));
  const Napi::Value promise = call->promise();
  call.release()->Queue();
  return promise;
}

}  // namespace clusterip
