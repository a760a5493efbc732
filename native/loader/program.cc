#include "loader/program.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "bpf/layout.h"

namespace clusterip {
namespace {

// libbpf gives its errors as negative numbers.
SysError failure(const char* call, long result) noexcept {
  return {.call = call, .error = static_cast<int>(-result)};
}

struct CloseObject {
  void operator()(bpf_object* object) const noexcept { bpf_object__close(object); }
};

Fd duplicate(int fd) noexcept { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// Written so that every version of clang-format leaves it alone.
using MapMember = Fd(BpfMaps::*);

struct MapLayout {
  std::string_view name;
  std::uint32_t type;
  std::uint32_t value_size;
  std::uint32_t max_entries;
  MapMember member;
};

// The names end with the number of their layout: a daemon adopts only what it can read.
constexpr std::array<MapLayout, 3> kLayouts = {{
    {CLUSTERIP_VIP_TABLE_NAME, BPF_MAP_TYPE_ARRAY, sizeof(clusterip_vip_table), 1,
     &BpfMaps::vip_table},
    {CLUSTERIP_VIP_COUNTERS_NAME, BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(clusterip_vip_counters),
     CLUSTERIP_MAX_VIRTUAL_IPS, &BpfMaps::vip_counters},
    {CLUSTERIP_NIC_COUNTERS_NAME, BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(clusterip_nic_counters), 1,
     &BpfMaps::nic_counters},
}};

bool is_of(const bpf_map_info& info, const MapLayout& layout) noexcept {
  return layout.name == info.name && layout.type == info.type &&
         layout.value_size == info.value_size && layout.max_entries == info.max_entries;
}

// Whichever program is found again knows all maps, also one that it does not use itself.
std::optional<SysError> hold_all_maps(bpf_object* object, const char* name) {
  const bpf_program* program = bpf_object__find_program_by_name(object, name);
  if (program == nullptr) return SysError{.call = "find program", .error = ENOENT};
  for (const MapLayout& layout : kLayouts) {
    const bpf_map* map = bpf_object__find_map_by_name(object, layout.name.data());
    // One that it holds already is no error.
    const int error = bpf_prog_bind_map(bpf_program__fd(program), bpf_map__fd(map), nullptr);
    if (error != 0) return failure("BPF_PROG_BIND_MAP", error);
  }
  return std::nullopt;
}

Result<Program> take_program(bpf_object* object, const char* name) {
  const bpf_program* program = bpf_object__find_program_by_name(object, name);
  if (program == nullptr) return SysError{.call = "find program", .error = ENOENT};
  Fd fd = duplicate(bpf_program__fd(program));
  if (!fd) return last_error("dup");
  auto info = program_info(fd.get());
  if (const auto* error = std::get_if<SysError>(&info)) return *error;
  return Program{.fd = std::move(fd), .info = std::get<ProgramInfo>(std::move(info))};
}

}  // namespace

Result<ProgramInfo> program_info(int fd) {
  ProgramInfo result;
  result.map_ids.resize(16);
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<std::uint32_t>(result.map_ids.size());
  info.map_ids = std::bit_cast<std::uintptr_t>(result.map_ids.data());
  std::uint32_t length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(fd, &info, &length); error != 0) {
    return failure("BPF_OBJ_GET_INFO_BY_FD", error);
  }
  result.id = info.id;
  result.name = info.name;
  std::copy(std::begin(info.tag), std::end(info.tag), result.tag.begin());
  result.map_ids.resize(std::min<std::size_t>(info.nr_map_ids, result.map_ids.size()));
  return result;
}

Result<Program> open_program(std::uint32_t id) {
  Fd fd(bpf_prog_get_fd_by_id(id));
  if (!fd) return last_error("BPF_PROG_GET_FD_BY_ID");
  auto info = program_info(fd.get());
  if (const auto* error = std::get_if<SysError>(&info)) return *error;
  return Program{.fd = std::move(fd), .info = std::get<ProgramInfo>(std::move(info))};
}

Result<BpfMaps> maps_of(const ProgramInfo& program) {
  BpfMaps maps;
  for (const std::uint32_t id : program.map_ids) {
    Fd fd(bpf_map_get_fd_by_id(id));
    if (!fd) return last_error("BPF_MAP_GET_FD_BY_ID");
    bpf_map_info info{};
    std::uint32_t length = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(fd.get(), &info, &length); error != 0) {
      return failure("BPF_OBJ_GET_INFO_BY_FD", error);
    }
    for (const MapLayout& layout : kLayouts) {
      if (!is_of(info, layout)) continue;
      maps.*layout.member = std::move(fd);
      break;
    }
  }
  if (!maps.vip_table) return SysError{.call = "adopt maps", .error = ENOENT};
  auto table = VipTable::map(maps.vip_table);
  if (const auto* error = std::get_if<SysError>(&table)) return *error;
  maps.table = std::get<VipTable>(std::move(table));
  if (!maps) return SysError{.call = "adopt maps", .error = ENOENT};
  return maps;
}

Result<LoadedObject> load_object(const std::string& path, BpfMaps maps) {
  const std::unique_ptr<bpf_object, CloseObject> object(
      bpf_object__open_file(path.c_str(), nullptr));
  if (!object) return last_error("open the BPF object");
  for (const MapLayout& layout : kLayouts) {
    bpf_map* map = bpf_object__find_map_by_name(object.get(), layout.name.data());
    if (map == nullptr) return SysError{.call = "find map", .error = ENOENT};
    if (!maps) continue;
    if (const int error = bpf_map__reuse_fd(map, (maps.*layout.member).get()); error != 0) {
      return failure("reuse map", error);
    }
  }
  if (const int error = bpf_object__load(object.get()); error != 0) {
    return failure("BPF_PROG_LOAD", error);
  }
  if (const auto error = hold_all_maps(object.get(), kXdpProgram)) return *error;
  auto tc = take_program(object.get(), kTcProgram);
  if (const auto* error = std::get_if<SysError>(&tc)) return *error;
  auto xdp = take_program(object.get(), kXdpProgram);
  if (const auto* error = std::get_if<SysError>(&xdp)) return *error;
  for (const MapLayout& layout : kLayouts) {
    const bpf_map* map = bpf_object__find_map_by_name(object.get(), layout.name.data());
    maps.*layout.member = duplicate(bpf_map__fd(map));
  }
  auto table = VipTable::map(maps.vip_table);
  if (const auto* error = std::get_if<SysError>(&table)) return *error;
  maps.table = std::get<VipTable>(std::move(table));
  if (!maps) return last_error("dup");
  return LoadedObject{.tc = std::get<Program>(std::move(tc)),
                      .xdp = std::get<Program>(std::move(xdp)),
                      .maps = std::move(maps)};
}

}  // namespace clusterip
