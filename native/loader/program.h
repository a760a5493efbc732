// Programs in the kernel: what they are called, which maps they use, and the compiled object
// that ours come from.
#pragma once

#include <bpf/libbpf.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "linux/sys.h"
#include "loader/maps.h"

namespace clusterip {

// Names in the kernel, those of the functions in native/bpf/clusterip.bpf.c: by them a daemon finds
// programs of an earlier life again.
inline constexpr const char* kTcProgram = "clusterip_tc";
inline constexpr const char* kXdpProgram = "clusterip_xdp";

struct ProgramInfo {
  std::uint32_t id = 0;
  std::string name;
  std::array<std::uint8_t, 8> tag{};  // of the instructions: the same for the same program
  std::vector<std::uint32_t> map_ids;
};

struct Program {
  Fd fd;
  ProgramInfo info;
};

// Needs CAP_SYS_ADMIN: identifiers are the whole machine's.
Result<Program> open_program(std::uint32_t id);
Result<ProgramInfo> program_info(int fd);

// The maps of a program that another life of the daemon has loaded; ENOENT when it has none
// that are laid out as ours.
Result<BpfMaps> maps_of(const ProgramInfo& program);

// The two programs and their maps, loaded but not attached to anything.
struct LoadedObject {
  Program tc;
  Program xdp;
  BpfMaps maps;
};

// `maps` are used instead of new ones when they are given. The kernel's verifier has the last
// word: EACCES or EINVAL are its refusals.
Result<LoadedObject> load_object(const std::string& path, BpfMaps maps);

}  // namespace clusterip
