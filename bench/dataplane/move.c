// How long after a request to move a bucket the node acts on it, seen from a client: echo requests
// go out all the time, and the answers tell.
//
//     move ADDRESS MOVES api SOCKET BUCKET
//     move ADDRESS MOVES nft NETNS GAIN-FILE LOSE-FILE
//
// The source address of this host must hash to the bucket, and the node must not have it at the
// start. The bucket is gained and lost in turn; "api" asks clusteripd over a new connection each,
// "nft" runs "nft -f FILE" on the node. Prints for each move "gain" or "lose" and nanoseconds: from
// the first octet of the request (or the fork) until the first answer has arrived, or until the
// last one. That is a round trip more than the node took.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  PROBE_INTERVAL_NS = 50 * 1000,
  // No answer for so long, and the bucket is lost.
  SILENCE_NS = 5 * 1000 * 1000,
  TIMEOUT_NS = 1000 * 1000 * 1000,
  // Between moves, and a random part more: moves must not fall into step with the probes.
  PAUSE_NS = 2 * 1000 * 1000,
};

static struct {
  const char* address;
  bool is_api;
  const char* socket_path;
  const char* bucket;
  const char* netns;
  const char* gain_file;
  const char* lose_file;
} options;

static int echo_socket;
static uint64_t last_probe_ns;
static uint64_t last_answer_ns;
static uint16_t sequence;

static void fail(const char* what) {
  fprintf(stderr, "move: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint16_t checksum(const void* octets, size_t length) {
  const uint16_t* words = octets;
  uint32_t sum = 0;
  for (size_t at = 0; at < length / 2; at++) sum += words[at];
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t) ~(sum + (sum >> 16));
}

static void open_echo(void) {
  echo_socket = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
  if (echo_socket < 0) fail("raw socket");
  struct sockaddr_in target = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, options.address, &target.sin_addr) != 1) fail(options.address);
  // Connected, so that only this address's packets arrive here.
  if (connect(echo_socket, (struct sockaddr*)&target, sizeof target)) fail(options.address);
}

static void take_answers(void) {
  unsigned char packet[256];
  while (recv(echo_socket, packet, sizeof packet, 0) > 0) {
    const struct ip* ip = (const struct ip*)packet;
    const struct icmp* icmp = (const struct icmp*)(packet + ip->ip_hl * 4);
    if (icmp->icmp_type == ICMP_ECHOREPLY) last_answer_ns = now_ns();
  }
}

// Until there is an answer or it is time for the next request. A loop without a pause would hold up
// what it waits for: a kernel thread that shares its CPU delivers the answers when they are many.
static void wait_for_answer(void) {
  uint64_t waited = now_ns() - last_probe_ns;
  if (waited >= PROBE_INTERVAL_NS) return;
  struct pollfd answer = {.fd = echo_socket, .events = POLLIN};
  struct timespec left = {.tv_nsec = (long)(PROBE_INTERVAL_NS - waited)};
  ppoll(&answer, 1, &left, NULL);
}

// Sends an echo request when it is time for one, and takes the answers that are there.
static void probe(void) {
  wait_for_answer();
  uint64_t now = now_ns();
  if (now - last_probe_ns >= PROBE_INTERVAL_NS) {
    struct icmp request = {.icmp_type = ICMP_ECHO};
    request.icmp_id = htons((uint16_t)getpid());
    request.icmp_seq = htons(sequence++);
    request.icmp_cksum = checksum(&request, ICMP_MINLEN);
    send(echo_socket, &request, ICMP_MINLEN, 0);
    last_probe_ns = now;
  }
  take_answers();
}

static void probe_for(uint64_t duration_ns) {
  uint64_t end = now_ns() + duration_ns;
  while (now_ns() < end) probe();
}

static int connect_api(void) {
  int connection = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un daemon = {.sun_family = AF_UNIX};
  snprintf(daemon.sun_path, sizeof daemon.sun_path, "%s", options.socket_path);
  if (connection < 0 || connect(connection, (struct sockaddr*)&daemon, sizeof daemon))
    fail(options.socket_path);
  return connection;
}

static int request_over_api(bool is_gain) {
  char body[64];
  char request[512];
  int length =
      snprintf(body, sizeof body, "{\"change\":\"%c%s\"}", is_gain ? '+' : '-', options.bucket);
  snprintf(request, sizeof request,
           "POST /v1/virtual-ips/%s/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
           "application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
           options.address, length, body);
  int connection = connect_api();
  if (write(connection, request, strlen(request)) < 0) fail("request");
  return connection;
}

// 200 or not; waits for the end of the answer.
static void require_success(int connection) {
  char answer[4096];
  size_t length = 0;
  ssize_t got;
  while ((got = read(connection, answer + length, sizeof answer - 1 - length)) > 0)
    length += (size_t)got;
  answer[length] = '\0';
  close(connection);
  if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
    fprintf(stderr, "move: the daemon refused:\n%s\n", answer);
    exit(1);
  }
}

// The probes have the last CPU for themselves, if there are two: what is measured must not wait for a time
// slice of the measuring. `is_prober` false gives this process all the others.
static void take_cpus(bool is_prober) {
  int last = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
  if (last < 1) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (is_prober) CPU_SET(last, &cpus);
  for (int cpu = 0; !is_prober && cpu < last; cpu++) CPU_SET(cpu, &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus)) fail("sched_setaffinity");
}

static pid_t request_by_nft(bool is_gain) {
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child > 0) return child;
  take_cpus(false);
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", options.netns);
  int netns = open(path, O_RDONLY);
  if (netns < 0 || setns(netns, CLONE_NEWNET)) fail(path);
  execlp("nft", "nft", "-f", is_gain ? options.gain_file : options.lose_file, (char*)NULL);
  fail("nft");
  return -1;
}

static void require_exit(pid_t child) {
  int status;
  if (waitpid(child, &status, 0) < 0 || status != 0) {
    fprintf(stderr, "move: nft failed\n");
    exit(1);
  }
}

static void move(bool is_gain) {
  uint64_t started = now_ns();
  int request = options.is_api ? request_over_api(is_gain) : request_by_nft(is_gain);
  last_answer_ns = is_gain ? 0 : started;
  for (;;) {
    probe();
    uint64_t now = now_ns();
    if (is_gain ? last_answer_ns != 0 : now - last_answer_ns > SILENCE_NS) break;
    if (now - started > TIMEOUT_NS) {
      fprintf(stderr, "move: no effect in a second\n");
      exit(1);
    }
  }
  printf("%s %llu\n", is_gain ? "gain" : "lose", (unsigned long long)(last_answer_ns - started));
  if (options.is_api)
    require_success(request);
  else
    require_exit(request);
}

int main(int argc, char** argv) {
  if (argc == 6 && strcmp(argv[3], "api") == 0) {
    options.is_api = true;
    options.socket_path = argv[4];
    options.bucket = argv[5];
  } else if (argc == 7 && strcmp(argv[3], "nft") == 0) {
    options.netns = argv[4];
    options.gain_file = argv[5];
    options.lose_file = argv[6];
  } else {
    fprintf(stderr, "usage: move ADDRESS MOVES api SOCKET BUCKET | nft NETNS GAIN LOSE\n");
    return 2;
  }
  options.address = argv[1];
  take_cpus(true);
  prctl(PR_SET_TIMERSLACK, 1);
  open_echo();
  probe_for(SILENCE_NS);
  if (last_answer_ns != 0) {
    fprintf(stderr, "move: the node answers before it has the bucket\n");
    return 1;
  }
  for (long moves = strtol(argv[2], NULL, 10), at = 0; at < moves; at++) {
    move(at % 2 == 0);
    probe_for(PAUSE_NS + (uint64_t)(random() % PAUSE_NS));
  }
  return 0;
}
