// The JavaScript class `FilterProbe`: runs a classic-BPF program in this machine's kernel, without
// privileges and without a network. For tests of the prefilter.
#pragma once

#include <napi.h>

namespace clusterip {

void export_filter_probe(Napi::Env env, Napi::Object exports);

}  // namespace clusterip
