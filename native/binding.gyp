{
  "variables": {
    # 1 when what engine "bpf" is built with is here.
    "has_bpf%": "<!(node bpf/toolchain.cjs probe)"
  },
  "target_defaults": {
    "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
    "cflags_cc": [
      "-std=gnu++20",
      "-O2",
      "-Wall",
      "-Wextra",
      "-Wpedantic",
      "-Wshadow",
      "-Wconversion",
      "-Werror",
      "-fvisibility=hidden",
      "-isystem",
      "<!(node -p \"require('path').dirname(require.resolve('node-addon-api'))\")"
    ],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++14", "-O3"]
  },
  "targets": [
    {
      "target_name": "clusteripd",
      "sources": [
        "src/addon.cc",
        "src/batch.cc",
        "src/batch_object.cc",
        "src/capture.cc",
        "src/dataplane.cc",
        "src/dataplane_object.cc",
        "src/filter_probe.cc",
        "src/judge_object.cc",
        "src/nft_events.cc",
        "src/nft_events_object.cc",
        "src/send_once.cc",
        "src/settle.cc",
        "src/tun.cc",
        "src/verdict.cc",
        "src/worker.cc"
      ]
    }
  ],
  "conditions": [
    ["has_bpf==1", {
      "targets": [
        {
          "target_name": "clusteripd_bpf",
          "sources": [
            "src/bpf_addon.cc",
            "src/bpf_call.cc",
            "src/bpf_dataplane.cc",
            "src/bpf_host.cc",
            "src/bpf_maps.cc",
            "src/bpf_program.cc",
            "src/bpf_tc.cc",
            "src/bpf_test_run.cc",
            "src/bpf_xdp.cc",
            "src/multicast.cc",
            "src/settle.cc",
            "src/tc_filters.cc"
          ],
          "libraries": ["-lbpf"],
          "actions": [
            {
              "action_name": "compile the BPF programs",
              "inputs": [
                "bpf/bucket.h",
                "bpf/clusterip.bpf.c",
                "bpf/frame.h",
                "bpf/maps.h",
                "bpf/shared.h",
                "bpf/toolchain.cjs",
                "bpf/verdict.h"
              ],
              "outputs": ["<(PRODUCT_DIR)/clusterip.bpf.o"],
              "action": ["node", "bpf/toolchain.cjs", "compile", "<(PRODUCT_DIR)/clusterip.bpf.o"]
            }
          ]
        }
      ]
    }]
  ]
}
