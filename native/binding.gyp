{
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
        "src/send_once.cc",
        "src/tun.cc",
        "src/verdict.cc"
      ],
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
    }
  ]
}
