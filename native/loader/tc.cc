#include "loader/tc.h"

#include <linux/pkt_sched.h>

#include <algorithm>

#include "linux/tc_filters.h"
#include "loader/call.h"

namespace clusterip {
namespace {

// "c1" for us: the handle of our filter, one number at whichever priority is free.
constexpr std::uint32_t kHandle = 0xc1;
// A priority belongs to one kind of classifier: where the first is another's, the next is ours.
constexpr std::uint32_t kLastPriority = 8;

bpf_tc_hook hook_of(int ifindex) noexcept {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = ifindex;
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts options_of(std::uint32_t priority) noexcept {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kHandle;
  options.priority = priority;
  return options;
}

// The id of the program in our filter, 0 for none.
Result<std::uint32_t> filter_program(int ifindex, std::uint32_t priority) noexcept {
  const bpf_tc_hook hook = hook_of(ifindex);
  bpf_tc_opts options = options_of(priority);
  const int error = bpf_tc_query(&hook, &options);
  // EINVAL: not even the qdisc is there.
  if (error == -ENOENT || error == -EINVAL) return 0u;
  if (error != 0) return SysError{.call = "query the tc filter", .error = -error};
  return options.prog_id;
}

std::optional<SysError> set_filter(int ifindex, std::uint32_t priority, int fd,
                                   std::uint32_t flags) noexcept {
  const bpf_tc_hook hook = hook_of(ifindex);
  bpf_tc_opts options = options_of(priority);
  options.prog_fd = fd;
  options.flags = flags;
  const int error = bpf_tc_attach(&hook, &options);
  if (error == 0) return std::nullopt;
  return SysError{.call = "attach the tc filter", .error = -error};
}

void remove_empty_qdisc(int ifindex) noexcept {
  if (has_tc_filters(ifindex)) return;
  bpf_tc_hook hook = hook_of(ifindex);
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  (void)bpf_tc_hook_destroy(&hook);
}

Result<TcAttachment> attach_filter(int ifindex, Program program) {
  bpf_tc_hook hook = hook_of(ifindex);
  const int created = bpf_tc_hook_create(&hook);
  if (created != 0 && created != -EEXIST) {
    return SysError{.call = "create the clsact qdisc", .error = -created};
  }
  std::optional<SysError> error;
  for (std::uint32_t priority = 1; priority <= kLastPriority; ++priority) {
    error = set_filter(ifindex, priority, program.fd.get(), 0);
    if (!error) {
      return TcAttachment{.ifindex = ifindex,
                          .way = TcWay::kClsact,
                          .priority = priority,
                          .program = std::move(program)};
    }
  }
  if (created == 0) remove_empty_qdisc(ifindex);
  return *error;
}

// Ours with this id; nothing when it is another's, or gone meanwhile.
Result<std::optional<Program>> open_ours(std::uint32_t id) {
  auto opened = open_program(id);
  if (const auto* error = std::get_if<SysError>(&opened)) {
    if (error->error == ENOENT) return std::nullopt;
    return *error;
  }
  auto& program = std::get<Program>(opened);
  if (program.info.name != kTcProgram) return std::nullopt;
  return std::move(program);
}

Result<std::optional<TcAttachment>> find_tcx(int ifindex) {
  const auto tcx = tcx_query(ifindex);
  if (const auto* error = std::get_if<SysError>(&tcx)) {
    if (error->error == EINVAL) return std::nullopt;  // a kernel without tcx
    return *error;
  }
  for (const std::uint32_t id : std::get<TcxPrograms>(tcx).ids) {
    auto opened = open_ours(id);
    if (const auto* error = std::get_if<SysError>(&opened)) return *error;
    auto& program = std::get<std::optional<Program>>(opened);
    if (!program) continue;
    return TcAttachment{.ifindex = ifindex, .way = TcWay::kTcx, .program = std::move(*program)};
  }
  return std::nullopt;
}

Result<std::optional<TcAttachment>> find_filter(int ifindex) {
  for (std::uint32_t priority = 1; priority <= kLastPriority; ++priority) {
    const auto filter = filter_program(ifindex, priority);
    if (const auto* error = std::get_if<SysError>(&filter)) return *error;
    const auto id = std::get<std::uint32_t>(filter);
    if (id == 0) continue;
    auto opened = open_ours(id);
    if (const auto* error = std::get_if<SysError>(&opened)) return *error;
    auto& program = std::get<std::optional<Program>>(opened);
    if (!program) continue;
    return TcAttachment{.ifindex = ifindex,
                        .way = TcWay::kClsact,
                        .priority = priority,
                        .program = std::move(*program)};
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<TcAttachment>> find_tc(int ifindex) {
  auto tcx = find_tcx(ifindex);
  const auto* attachment = std::get_if<std::optional<TcAttachment>>(&tcx);
  if (attachment == nullptr || *attachment) return tcx;
  return find_filter(ifindex);
}

Result<TcAttachment> attach_tc(int ifindex, Program program, TcWay way) {
  if (way == TcWay::kTcx) {
    const auto error = tcx_attach_first(ifindex, program.fd.get());
    if (!error) {
      return TcAttachment{.ifindex = ifindex, .way = TcWay::kTcx, .program = std::move(program)};
    }
    if (error->error != EINVAL) return *error;
  }
  return attach_filter(ifindex, std::move(program));
}

Result<bool> TcAttachment::is_intact() const {
  if (way == TcWay::kClsact) {
    const auto filter = filter_program(ifindex, priority);
    if (const auto* error = std::get_if<SysError>(&filter)) return *error;
    return std::get<std::uint32_t>(filter) == program.info.id;
  }
  // First: one in front that accepts a frame keeps it from all behind.
  const auto tcx = tcx_query(ifindex);
  if (const auto* error = std::get_if<SysError>(&tcx)) return *error;
  const auto& ids = std::get<TcxPrograms>(tcx).ids;
  return !ids.empty() && ids.front() == program.info.id;
}

Result<bool> TcAttachment::is_attached() const {
  if (way == TcWay::kClsact) return is_intact();
  const auto tcx = tcx_query(ifindex);
  if (const auto* error = std::get_if<SysError>(&tcx)) return *error;
  const auto& ids = std::get<TcxPrograms>(tcx).ids;
  return std::find(ids.begin(), ids.end(), program.info.id) != ids.end();
}

std::optional<SysError> TcAttachment::replace(Program next) {
  const auto error = way == TcWay::kTcx
                         ? tcx_replace(ifindex, next.fd.get(), program.fd.get())
                         : set_filter(ifindex, priority, next.fd.get(), BPF_TC_F_REPLACE);
  if (!error) program = std::move(next);
  return error;
}

std::optional<SysError> TcAttachment::detach() const {
  std::optional<SysError> failed;
  if (way == TcWay::kTcx) {
    failed = tcx_detach(ifindex, program.fd.get());
  } else {
    const bpf_tc_hook hook = hook_of(ifindex);
    const bpf_tc_opts options = options_of(priority);
    const int error = bpf_tc_detach(&hook, &options);
    if (error != 0) failed = SysError{.call = "detach the tc filter", .error = -error};
  }
  if (failed) {
    // What it fails with when nothing is there differs between the ways and between kernels.
    const auto attached = is_attached();
    const auto* is_there = std::get_if<bool>(&attached);
    if (is_there == nullptr || *is_there) return failed;
  }
  if (way == TcWay::kClsact) remove_empty_qdisc(ifindex);
  return std::nullopt;
}

}  // namespace clusterip
