// The JavaScript class `Dataplane`: a thin shell around Dataplane of dataplane.h. Every method
// answers by a promise.
#pragma once

#include <napi.h>

namespace clusterip {

void export_dataplane(Napi::Env env, Napi::Object exports);

}  // namespace clusterip
