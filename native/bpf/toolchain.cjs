// What engine "bpf" is built with, and what its absence means.
//
//     node toolchain.cjs probe           prints 1 when the engine can be built, else 0 (for binding.gyp)
//     node toolchain.cjs why             prints why it cannot be built; nothing when it can
//     node toolchain.cjs compile OUTPUT  compiles the programs; without clang, copies those that were shipped
//
// Without the engine everything else is built, and the daemon says what was missing.
"use strict";
const { spawnSync } = require("node:child_process");
const { copyFileSync, existsSync } = require("node:fs");
const { join } = require("node:path");

/** Made by `npm pack`: the programs are the same on every machine of one byte order. */
const shipped = join(__dirname, "clusterip.bpf.o");

function whyNoLibbpf() {
  const input = "#include <bpf/libbpf.h>\nlibbpf_major LIBBPF_MAJOR_VERSION\n";
  const headers = spawnSync(process.env.CXX ?? "g++", ["-E", "-P", "-x", "c++", "-"], {
    input,
    encoding: "utf8",
  });
  if (headers.status !== 0) return "the headers of libbpf are missing (package libbpf-dev)";
  const major = Number(/libbpf_major\s+(\d+)/.exec(headers.stdout)?.[1]);
  return major >= 1 ? undefined : "libbpf is older than 1.0, as before Debian 12 and Ubuntu 24.04";
}

function whyNoClang() {
  const clang = spawnSync("clang", ["-target", "bpf", "-x", "c", "-c", "-", "-o", "/dev/null"], {
    input: "int nothing;\n",
    encoding: "utf8",
  });
  if (clang.error !== undefined) return "clang is missing (package clang)";
  return clang.status === 0 ? undefined : "clang does not know the target 'bpf'";
}

function whyNot() {
  return whyNoLibbpf() ?? (existsSync(shipped) ? undefined : whyNoClang());
}

function probe() {
  const why = whyNot();
  if (why !== undefined) console.error(`clusteripd: engine 'bpf' is not built: ${why}`);
  process.stdout.write(why === undefined ? "1" : "0");
}

function compile(output) {
  if (whyNoClang() !== undefined) {
    copyFileSync(shipped, output);
    return;
  }
  // Debian keeps asm/ in a directory of the machine's name, where clang does not look for this target.
  const machine = spawnSync("gcc", ["-dumpmachine"], { encoding: "utf8" }).stdout?.trim() ?? "";
  const { status } = spawnSync(
    "clang",
    [
      ...["-target", "bpf"],
      "-mcpu=v3", // the instructions of Linux 5.1
      "-ffreestanding", // the verdict includes <stdint.h>: the compiler's own
      ...["-iquote", join(__dirname, "..")],
      "-O2",
      "-g", // libbpf reads the maps' definitions from the type information
      ...["-Wall", "-Wextra", "-Werror"],
      ...["-idirafter", `/usr/include/${machine}`],
      ...["-c", join(__dirname, "clusterip.bpf.c"), "-o", output],
    ],
    { stdio: "inherit" },
  );
  process.exit(status ?? 1);
}

if (process.argv[2] === "probe") probe();
else if (process.argv[2] === "why") process.stdout.write(whyNot() ?? "");
else compile(process.argv[3]);
