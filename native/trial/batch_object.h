// The JavaScript functions `bucketsOf` and `batchPaths`.
#pragma once

#include <napi.h>

namespace clusterip {

void export_batch(Napi::Env env, Napi::Object exports);

}  // namespace clusterip
