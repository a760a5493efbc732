// Puts frames into the receive path of an interface as fast as one core can, without a sender:
// BPF_PROG_TEST_RUN with live frames (Linux 5.18). See flood.bpf.c for the programs.
//
//     flood OBJECT INTERFACE CPU FRAMES ROUNDS WHERE FRAME-IN-HEX FLOWS-FILE
//
// WHERE is "pass" (the receive path), "drop" (a bare XDP_DROP), "chain:ID" (XDP program ID, behind
// flood_chain), "chain:drop" (a bare XDP_DROP behind flood_chain) or "direct:ID" (XDP program ID
// alone, every frame the same). Prints a line of nanoseconds a frame for each round, as the kernel
// measured it.
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOW_OCTETS = 12, FRAME_MAX = 1514 };

static void fail(const char* what) {
  fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
  exit(1);
}

static size_t read_hex(const char* text, unsigned char* octets) {
  size_t length = strlen(text) / 2;
  if (length > FRAME_MAX) length = FRAME_MAX;
  for (size_t at = 0; at < length; at++) {
    unsigned value;
    if (sscanf(text + 2 * at, "%2x", &value) != 1) {
      errno = EINVAL;
      fail("frame");
    }
    octets[at] = (unsigned char)value;
  }
  return length;
}

static int program_fd(struct bpf_object* object, const char* name) {
  struct bpf_program* program = bpf_object__find_program_by_name(object, name);
  if (!program) fail(name);
  return bpf_program__fd(program);
}

static int map_fd(struct bpf_object* object, const char* name) {
  int fd = bpf_object__find_map_fd_by_name(object, name);
  if (fd < 0) fail(name);
  return fd;
}

static int program_by_id(const char* text) {
  int fd = bpf_prog_get_fd_by_id((unsigned)strtoul(text, NULL, 10));
  if (fd < 0) fail("program of this id");
  return fd;
}

// The flows of the file, repeated until the map is full.
static void fill_flows(struct bpf_object* object, const char* path) {
  int flows = map_fd(object, "flows");
  struct bpf_map_info info = {0};
  unsigned info_length = sizeof info;
  if (bpf_obj_get_info_by_fd(flows, &info, &info_length)) fail("flows");
  unsigned char* octets = malloc((size_t)info.max_entries * FLOW_OCTETS);
  FILE* file = fopen(path, "rb");
  if (!octets || !file) fail(path);
  size_t count = fread(octets, FLOW_OCTETS, info.max_entries, file);
  fclose(file);
  if (count == 0) {
    errno = ENODATA;
    fail("flows");
  }
  for (unsigned key = 0; key < info.max_entries; key++) {
    if (bpf_map_update_elem(flows, &key, octets + key % count * FLOW_OCTETS, 0)) fail("flows");
  }
  free(octets);
}

// -1 when the two programs do not go together.
static int chained_to(struct bpf_object* object, int program) {
  unsigned key = 0;
  if (bpf_map_update_elem(map_fd(object, "next_program"), &key, &program, 0)) return -1;
  return program_fd(object, "flood_chain");
}

static int program_for(struct bpf_object* object, const char* where) {
  if (strcmp(where, "pass") == 0) return program_fd(object, "flood_pass");
  if (strcmp(where, "drop") == 0) return program_fd(object, "bare_drop");
  if (strcmp(where, "chain:drop") == 0) return chained_to(object, program_fd(object, "bare_drop"));
  if (strncmp(where, "chain:", 6) == 0) return chained_to(object, program_by_id(where + 6));
  if (strncmp(where, "direct:", 7) == 0) return program_by_id(where + 7);
  errno = EINVAL;
  fail(where);
  return -1;
}

static struct bpf_object* load(const char* path, unsigned flags) {
  struct bpf_object* object = bpf_object__open_file(path, NULL);
  if (!object) fail(path);
  struct bpf_program* program;
  bpf_object__for_each_program(program, object) {
    bpf_program__set_flags(program, bpf_program__flags(program) | flags);
  }
  if (bpf_object__load(object)) fail(path);
  return object;
}

// Frames that flood_chain could not hand on: then something else was measured.
static bool all_chained(struct bpf_object* object) {
  struct {
    unsigned long long position;
    unsigned long long unchained;
  } counters;
  struct bpf_map* map = bpf_object__find_map_by_name(object, ".bss");
  unsigned key = 0;
  if (!map || bpf_map_lookup_elem(bpf_map__fd(map), &key, &counters)) fail("counters");
  return counters.unchained == 0;
}

int main(int argc, char** argv) {
  if (argc != 9) {
    fprintf(stderr,
            "usage: flood OBJECT INTERFACE CPU FRAMES ROUNDS WHERE FRAME-IN-HEX FLOWS-FILE\n");
    return 2;
  }
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(strtoul(argv[3], NULL, 10), &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus)) fail("CPU");

  struct bpf_object* object = load(argv[1], 0);
  int program = program_for(object, argv[6]);
  if (program < 0) {
    // A program that takes frames in fragments can be called by its like alone.
    bpf_object__close(object);
    object = load(argv[1], BPF_F_XDP_HAS_FRAGS);
    program = program_for(object, argv[6]);
  }
  if (program < 0) fail("chaining the program");
  fill_flows(object, argv[8]);

  unsigned char frame[FRAME_MAX];
  size_t length = read_hex(argv[7], frame);
  struct xdp_md context = {.data_end = (unsigned)length,
                           .ingress_ifindex = if_nametoindex(argv[2])};
  if (context.ingress_ifindex == 0) fail(argv[2]);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = (unsigned)length,
              .ctx_in = &context, .ctx_size_in = sizeof context,
              .repeat = (int)strtol(argv[4], NULL, 10), .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
  int frames = options.repeat;
  options.repeat = frames / 10 + 1;
  if (bpf_prog_test_run_opts(program, &options)) fail("test run");
  options.repeat = frames;
  for (long rounds = strtol(argv[5], NULL, 10); rounds > 0; rounds--) {
    if (bpf_prog_test_run_opts(program, &options)) fail("test run");
    printf("%u\n", options.duration);
  }
  if (!all_chained(object)) {
    fprintf(stderr, "flood: the program could not be chained\n");
    return 1;
  }
  bpf_object__close(object);
  return 0;
}
