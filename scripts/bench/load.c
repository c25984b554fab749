/*
 * Load client: simulates many clients of an event stream in a single thread with epoll.
 *
 *   load <port> <path> <connections> [<last id, or ->]
 *
 * Commands on stdin: "reset" clears the measurements, "stat" prints the measurements as a line of JSON.
 * "stall <n>" stops reading from the first n connections, and "resume" reads from them again. "quit" exits.
 *
 * An event contains "seq":<n> and "t":<due time in µs of CLOCK_MONOTONIC>, or as a real event "at":"<time in
 * UTC>". The event numbers of a connection must be contiguous. Connections are made from 127.0.0.2 to 127.0.0.9, because a single address has too few
 * ports.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, CARRY_BYTES = 256, HEAD_BYTES = 200, BUCKETS = 200000, BUCKET_US = 50, ADDRESSES = 8, PARALLEL = 256, KNOWN = 65536 };

typedef struct {
  int fd, stalled, open, chunked, head_done;
  long chunk_left;      /* unread bytes of the chunk; -1 in the size line of a chunk, -2 before that line */
  long last;            /* number of the last event; -1 before the first */
  long size_value;
  int carry_length;
  char carry[CARRY_BYTES];
} Client;

static Client *clients;
static int count, opened, answered, failed, closed_by_server, epoll_fd;
static long events, gaps, repeats, bytes, histogram[BUCKETS + 1], slowest_us;
static char request[1024];
static char buffer[READ_BYTES], clean[READ_BYTES + CARRY_BYTES + 1];

static long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Times of the newest events, because every client receives the same ones. In µs of CLOCK_MONOTONIC. */
static struct { long seq, sent; } known[KNOWN];

/*
 * Returns the time of a real event in µs of CLOCK_MONOTONIC, 0 if the event has none, and -1 if the rest of the
 * event must be read first.
 */
static long time_of(long seq, char *text, char *end) {
  static const char mark[] = "\"at\":\"";
  if (known[seq % KNOWN].seq == seq && known[seq % KNOWN].sent) return known[seq % KNOWN].sent;
  char *limit = end - text < HEAD_BYTES ? end : text + HEAD_BYTES;
  char *at = memmem(text, limit - text, mark, sizeof mark - 1);
  char *value = at ? at + sizeof mark - 1 : text;
  if (!at || !memchr(value, '"', limit - value)) return limit < end || memchr(text, '}', limit - text) ? 0 : -1;
  struct tm t = {0};
  char *rest = strptime(value, "%Y-%m-%dT%H:%M:%S", &t);
  if (!rest) return 0;
  double fraction = *rest == '.' ? strtod(rest, NULL) : 0;
  struct timespec real;
  clock_gettime(CLOCK_REALTIME, &real);
  long offset = real.tv_sec * 1000000L + real.tv_nsec / 1000 - now_us();
  known[seq % KNOWN].seq = seq;
  return known[seq % KNOWN].sent = timegm(&t) * 1000000L + (long)(fraction * 1e6) - offset;
}

static void note(Client *c, long seq, long sent, long now) {
  if (c->last >= 0 && seq > c->last + 1) gaps += seq - c->last - 1;
  if (c->last >= 0 && seq <= c->last) repeats++;
  c->last = seq;
  events++;
  if (sent <= 0) return;
  long late = now > sent ? now - sent : 0;
  if (late > slowest_us) slowest_us = late;
  long bucket = late / BUCKET_US;
  histogram[bucket > BUCKETS ? BUCKETS : bucket]++;
}

/* Counts the complete events in `text`. The beginning of an incomplete event is kept for the next read. */
static void scan(Client *c, char *text, long length) {
  static const char mark[] = "{\"seq\":";
  long now = now_us();
  char *at = text, *end = text + length;
  *end = 0;
  for (;;) {
    char *found = memmem(at, end - at, mark, sizeof mark - 1);
    if (!found) break;
    char *rest = found + sizeof mark - 1;
    if (end - found < 64 && !memchr(rest, '}', end - rest) && !memchr(rest, 'p', end - rest)) {
      at = found;
      break;
    }
    long seq = strtol(rest, &rest, 10);
    long sent = strncmp(rest, ",\"t\":", 5) == 0 ? strtol(rest + 5, &rest, 10) : time_of(seq, rest, end);
    if (sent < 0) {
      at = found;
      break;
    }
    note(c, seq, sent, now);
    at = rest;
  }
  long keep = end - at < (long)sizeof mark - 1 || memcmp(at, mark, sizeof mark - 1) ? (long)sizeof mark - 2 : end - at;
  if (keep > end - at) keep = end - at;
  if (keep > CARRY_BYTES) keep = CARRY_BYTES;
  memcpy(c->carry, end - keep, keep);
  c->carry_length = keep;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Decodes HTTP chunks: copies their content from `from` to `to`, and returns the number of bytes copied. */
static long unchunk(Client *c, const char *from, long length, char *to) {
  long made = 0;
  for (long i = 0; i < length;) {
    if (c->chunk_left > 0) {
      long take = c->chunk_left < length - i ? c->chunk_left : length - i;
      memcpy(to + made, from + i, take);
      made += take;
      i += take;
      c->chunk_left -= take;
      if (c->chunk_left == 0) c->chunk_left = -2;
      continue;
    }
    char one = from[i++];
    int digit = hex(one);
    if (c->chunk_left == -2 && digit >= 0) {
      c->chunk_left = -1;
      c->size_value = digit;
    } else if (c->chunk_left == -1 && digit >= 0) {
      c->size_value = c->size_value * 16 + digit;
    } else if (c->chunk_left == -1 && one == '\n') {
      c->chunk_left = c->size_value > 0 ? c->size_value : -2;
    }
  }
  return made;
}

static void shut(Client *c) {
  if (!c->open) return;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
  close(c->fd);
  c->open = 0;
  closed_by_server++;
}

static void take(Client *c) {
  long length = recv(c->fd, buffer, READ_BYTES, 0);
  if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
    shut(c);
    return;
  }
  if (length < 0) return;
  bytes += length;
  char *from = buffer;
  if (!c->head_done) {
    char *body = memmem(buffer, length, "\r\n\r\n", 4);
    if (!body || memcmp(buffer + 9, "200", 3)) {
      failed++;
      shut(c);
      return;
    }
    c->head_done = 1;
    c->chunked = memmem(buffer, body - buffer, "hunked", 6) != NULL;
    c->chunk_left = -2;
    answered++;
    from = body + 4;
    length -= from - buffer;
  }
  memcpy(clean, c->carry, c->carry_length);
  char *to = clean + c->carry_length;
  long made = length;
  if (c->chunked) made = unchunk(c, from, length, to);
  else memcpy(to, from, length);
  scan(c, clean, c->carry_length + made);
}

static void dial(int index, int port) {
  Client *c = &clients[index];
  struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
  from.sin_addr.s_addr = htonl(0x7f000002 + index % ADDRESSES);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->last = -1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  const char *small = getenv("LOAD_RCVBUF");
  int size = small ? atoi(small) : 0;
  if (size > 0) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  bind(c->fd, (struct sockaddr *)&from, sizeof from);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) || write(c->fd, request, strlen(request)) < 0) {
    failed++;
    return;
  }
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
  c->open = 1;
  opened++;
}

static double quantile(double part) {
  long total = 0, passed = 0;
  for (int i = 0; i <= BUCKETS; i++) total += histogram[i];
  for (int i = 0; i <= BUCKETS; i++) {
    passed += histogram[i];
    if (total && passed >= part * total) return i * BUCKET_US / 1000.0;
  }
  return 0;
}

static void stat_line(void) {
  long lowest = -1, highest = -1, unopened = 0;
  for (int i = 0; i < count; i++) {
    if (!clients[i].open) unopened++;
    if (i == 0 || clients[i].last < lowest) lowest = clients[i].last;
    if (clients[i].last > highest) highest = clients[i].last;
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"opened\":%d,\"answered\":%d,\"failed\":%d,\"closed\":%ld,\"events\":%ld,\"gaps\":%ld,\"repeats\":%ld,"
         "\"bytes\":%ld,\"lowest\":%ld,\"highest\":%ld,\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f,\"cpu\":%.3f}\n",
         opened, answered, failed, unopened, events, gaps, repeats, bytes, lowest, highest, quantile(0.5),
         quantile(0.99), slowest_us / 1000.0, cpu);
  fflush(stdout);
}

static void stall(int first, int reading) {
  for (int i = 0; i < first && i < count; i++) {
    struct epoll_event event = {.events = reading ? EPOLLIN : 0, .data.u32 = i};
    if (clients[i].open) epoll_ctl(epoll_fd, EPOLL_CTL_MOD, clients[i].fd, &event);
  }
}

static void run_command(char *line) {
  if (!strncmp(line, "quit", 4)) exit(0);
  if (!strncmp(line, "stat", 4)) stat_line();
  if (!strncmp(line, "stall ", 6)) stall(atoi(line + 6), 0);
  if (!strncmp(line, "resume", 6)) stall(count, 1);
  if (strncmp(line, "reset", 5)) return;
  events = gaps = repeats = bytes = slowest_us = 0;
  memset(histogram, 0, sizeof histogram);
}

static void read_commands(void) {
  static char line[4096];
  long length = read(0, line, sizeof line - 1);
  if (length <= 0) exit(0);
  line[length] = 0;
  for (char *one = strtok(line, "\n"); one; one = strtok(NULL, "\n")) run_command(one);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  count = atoi(argv[3]);
  clients = calloc(count, sizeof(Client));
  const char *id = argc > 4 && strcmp(argv[4], "-") ? argv[4] : NULL;
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s%s%s\r\n",
           argv[2], id ? "Last-Event-ID: " : "", id ? id : "", id ? "\r\n" : "");
  epoll_fd = epoll_create1(0);
  struct epoll_event ready[1024], in = {.events = EPOLLIN, .data.u32 = 0xffffffff};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &in);
  while (1) {
    for (int i = 0; i < 64 && opened + failed < count && opened - answered < PARALLEL; i++) dial(opened + failed, atoi(argv[1]));
    int many = epoll_wait(epoll_fd, ready, 1024, opened + failed < count ? 1 : 100);
    for (int i = 0; i < many; i++) {
      if (ready[i].data.u32 == 0xffffffff) read_commands();
      else take(&clients[ready[i].data.u32]);
    }
  }
}
