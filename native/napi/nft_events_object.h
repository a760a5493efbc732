#pragma once

#include <napi.h>

namespace clusterip {

void export_nft_events(Napi::Env env, Napi::Object& exports);

}  // namespace clusterip
