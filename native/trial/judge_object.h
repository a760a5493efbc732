// The JavaScript class `Judge`: the verdict of verdict.h on frames from JavaScript, for tests,
// `explain` and benchmarks. The packet path does not come here.
#pragma once

#include <napi.h>

namespace clusterip {

void export_judge(Napi::Env env, Napi::Object exports);

}  // namespace clusterip
