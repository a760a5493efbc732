{
  "variables": {
    # 1 when what engine "bpf" is built with is here.
    "has_bpf%": "<!(node bpf/toolchain.cjs probe)",
    # 1 in a checkout: users do not get what only tests and benchmarks load.
    "has_trial%": "<!(node -p \"Number(require('fs').existsSync('trial'))\")",
    "userspace": [
      "linux/lock_device.cc",
      "linux/nft_events.cc",
      "linux/send_once.cc",
      "linux/settle.cc",
      "userspace/capture.cc",
      "userspace/dataplane.cc",
      "userspace/judge.cc",
      "userspace/tun.cc",
      "userspace/worker.cc"
    ],
    "bpf": [
      "linux/multicast.cc",
      "linux/settle.cc",
      "linux/tc_filters.cc",
      "loader/call.cc",
      "loader/dataplane.cc",
      "loader/host.cc",
      "loader/maps.cc",
      "loader/placement.cc",
      "loader/program.cc",
      "loader/tc.cc",
      "loader/xdp.cc",
      "napi/bpf_object.cc"
    ]
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
      # Not -I: native/linux and native/bpf are not the kernel's and libbpf's.
      "-iquote",
      "<(module_root_dir)",
      "-isystem",
      "<!(node -p \"require('path').dirname(require.resolve('node-addon-api'))\")"
    ],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++14", "-O3"]
  },
  "targets": [
    {
      "target_name": "clusteripd",
      "sources": [
        "napi/addon.cc",
        "napi/dataplane_object.cc",
        "napi/nft_events_object.cc",
        "<@(userspace)"
      ]
    }
  ],
  "conditions": [
    ["has_bpf==1", {
      "targets": [
        {
          "target_name": "clusteripd_bpf",
          "sources": ["napi/bpf_addon.cc", "<@(bpf)"],
          "libraries": ["-lbpf"],
          "actions": [
            {
              "action_name": "compile the BPF programs",
              "inputs": [
                "<!@(ls bpf/*.c bpf/*.cjs bpf/*.h generated/facts.h verdict/*.h)"
              ],
              "outputs": ["<(PRODUCT_DIR)/clusterip.bpf.o"],
              "action": ["node", "bpf/toolchain.cjs", "compile", "<(PRODUCT_DIR)/clusterip.bpf.o"]
            }
          ]
        }
      ]
    }],
    ["has_trial==1", {
      "targets": [
        {
          "target_name": "clusteripd_trial",
          "sources": [
            "trial/addon.cc",
            "trial/batch.cc",
            "trial/batch_object.cc",
            "trial/filter_probe.cc",
            "trial/judge_object.cc",
            "userspace/judge.cc"
          ]
        }
      ]
    }],
    ["has_trial==1 and has_bpf==1", {
      "targets": [
        {
          "target_name": "clusteripd_bpf_trial",
          "sources": ["trial/bpf_addon.cc", "trial/test_run.cc", "<@(bpf)"],
          "libraries": ["-lbpf"]
        }
      ]
    }]
  ]
}
