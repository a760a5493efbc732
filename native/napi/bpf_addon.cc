// The second addon: engine "bpf". It is one of its own so that the first one, and with it the
// engine "userspace", loads on a host that has no libbpf; what the dynamic linker says about
// this one is then the reason why the engine is not there.
#include "napi/bpf_object.h"

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  clusterip::export_bpf(env, exports);
  return exports;
}

NODE_API_MODULE(clusteripd_bpf, init_addon)
