/* openloop: an HTTP/1.1 load generator in one thread.
 *
 * At a constant rate (open loop) latency is counted from the INTENDED send time, so a server that
 * stalls is not hidden behind requests that were never sent. Rate 0 is a closed loop: saturation.
 *
 *   cc -O2 -o openloop openloop.c                             or, for TLS (certificates are not checked):
 *   cc -O2 -o openloop-tls openloop.c -DTLS -lssl -lcrypto
 *   openloop PORT RATE SECONDS CONNECTIONS PATH BODY_BYTES USERS [HEADER_LINE]
 *
 * USERS (1 to 900000) take turns. With more than one every head differs: another X-User-Id, another
 * X-Request-Id and another traceparent each time, as behind a gateway. With one, heads repeat.
 *
 * Talks to 127.0.0.1 only and prints one JSON object. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum state { IDLE, BUSY, ANSWERED_EARLY };

typedef struct {
    int fd;
    enum state state;
    double due; /* intended send time */
    char *buffer;
    size_t length, capacity, written;
#ifdef TLS
    SSL *tls;
#endif
} Connection;

static char *request, *user, *identity, *trace, *parent;
static long users, asked;
static size_t request_length;
static int poller;
static struct sockaddr_in server;

static double *latency;
static size_t latencies, latency_capacity;
static long errors, not_2xx, reconnects, bytes, in_flight;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void watch(Connection *c, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poller, operation, c->fd, &event);
}

#ifdef TLS
static SSL_CTX *context;

static void secure(Connection *c) {
    c->tls = SSL_new(context);
    SSL_set_fd(c->tls, c->fd);
    if (SSL_connect(c->tls) != 1) {
        ERR_print_errors_fp(stderr);
        exit(2);
    }
}

/* As of read and write: bytes, or -1 with EAGAIN where the connection lives. */
static ssize_t told(Connection *c, int n) {
    if (n > 0)
        return n;
    int error = SSL_get_error(c->tls, n);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    ERR_clear_error();
    return -1;
}

static ssize_t take(Connection *c, void *to, size_t most) {
    return told(c, SSL_read(c->tls, to, most));
}

static ssize_t give(Connection *c, const void *from, size_t most) {
    return told(c, SSL_write(c->tls, from, most));
}
#else
static ssize_t take(Connection *c, void *to, size_t most) { return read(c->fd, to, most); }

static ssize_t give(Connection *c, const void *from, size_t most) {
    return write(c->fd, from, most);
}
#endif

static void close_connection(Connection *c) {
#ifdef TLS
    SSL_free(c->tls);
#endif
    close(c->fd);
}

static void open_connection(Connection *c) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server)) {
        perror("connect");
        exit(2);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef TLS
    secure(c);
#endif
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    c->state = IDLE;
    c->length = c->written = 0;
}

static void pump(Connection *c) {
    while (c->written < request_length) {
        ssize_t n = give(c, request + c->written, request_length - c->written);
        if (n < 0) {
            if (errno == EAGAIN)
                watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        c->written += n;
    }
    if (request_length > 65536)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void hex(char *to, unsigned long value) {
    for (int i = 15; i >= 0; i--, value >>= 4)
        to[i] = "0123456789abcdef"[value & 15];
}

static void vary(void) {
    unsigned long number = ++asked, mixed = number * 0x9E3779B97F4A7C15ul;
    long who = 100000 + number % users;
    for (int i = 5; i >= 0; i--, who /= 10)
        user[i] = '0' + who % 10;
    hex(identity, mixed);
    hex(trace, mixed ^ 0x5555555555555555ul);
    hex(parent, ~mixed);
}

static void send_request(Connection *c, double due) {
    c->state = BUSY;
    c->due = due;
    c->length = c->written = 0;
    if (users > 1) /* the head of an unfinished request is out already: only bodies are large */
        vary();
    in_flight++;
    pump(c);
}

/* Whether the buffer holds a whole answer: by Content-Length, or by the last chunk. */
static int complete(Connection *c) {
    char *end = memmem(c->buffer, c->length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = end - c->buffer + 4;
    for (char *line = c->buffer; line < end;) {
        char *next = memmem(line, end + 2 - line, "\r\n", 2);
        if (!strncasecmp(line, "content-length:", 15))
            return c->length >= head + atol(line + 15);
        if (!strncasecmp(line, "transfer-encoding:", 18))
            return !memcmp(c->buffer + c->length - 5, "0\r\n\r\n", 5);
        line = next + 2;
    }
    return 1;
}

static void record(Connection *c, double at) {
    bytes += c->length;
    if (c->length < 12 || c->buffer[9] != '2')
        not_2xx++;
    if (latencies == latency_capacity) {
        latency_capacity *= 2;
        latency = realloc(latency, latency_capacity * sizeof *latency);
    }
    latency[latencies++] = at - c->due;
    in_flight--;
    c->state = IDLE;
}

/* Reads what there is. 1: the answer is complete and the request was sent; -1: connection lost. */
static int receive(Connection *c) {
    if (c->length + 65536 > c->capacity) {
        c->capacity *= 2;
        c->buffer = realloc(c->buffer, c->capacity);
    }
    ssize_t n = take(c, c->buffer + c->length, c->capacity - c->length);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return -1;
    c->length += n;
    if (c->state == IDLE || !complete(c))
        return 0;
    if (c->written < request_length) {
        c->state = ANSWERED_EARLY; /* the rest of the body must still go out */
        return 0;
    }
    return 1;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double q) {
    return latencies ? latency[(size_t)((latencies - 1) * q)] * 1e6 : 0;
}

static void make_request(const char *path, int port, long body, const char *extra) {
    request = malloc(body + 4096);
    request_length = sprintf(request,
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: openloop/1.0\r\n"
        "Accept: application/json\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
        "X-User-Id: user-104711\r\nX-Request-Id: 0123456789abcdef0123456789abcdef\r\n"
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        body ? "POST" : "GET", path, port);
    user = strstr(request, "104711");
    identity = strstr(request, "0123456789abcdef");
    trace = strstr(request, "4bf92f35");
    parent = strstr(request, "00f067aa");
    if (body)
        request_length += sprintf(request + request_length,
            "Content-Type: application/json\r\nContent-Length: %ld\r\n", body);
    request_length += sprintf(request + request_length, "%s%s\r\n", extra, *extra ? "\r\n" : "");
    memset(request + request_length, 'x', body);
    request_length += body;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc < 8) {
        fprintf(stderr, "usage: openloop PORT RATE SECONDS CONNECTIONS PATH BODY_BYTES USERS [HEADER]\n");
        return 1;
    }
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    int count = atoi(argv[4]);
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGPIPE, SIG_IGN);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    make_request(argv[5], atoi(argv[1]), atol(argv[6]), argc > 8 ? argv[8] : "");
    users = atol(argv[7]);

#ifdef TLS
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
#endif
    poller = epoll_create1(0);
    Connection *all = calloc(count, sizeof *all), **idle = malloc(count * sizeof *idle);
    int idles = 0;
    for (int i = 0; i < count; i++) {
        all[i].capacity = 1 << 17;
        all[i].buffer = malloc(all[i].capacity);
        open_connection(&all[i]);
        idle[idles++] = &all[i];
    }
    latency_capacity = 1 << 20;
    latency = malloc(latency_capacity * sizeof *latency);

    double start = now() + 0.01, end = start + seconds, hard = end + 5;
    long issued = 0, total = (long)(rate * seconds);
    if (rate == 0)
        while (idles)
            send_request(idle[--idles], now());
    for (;;) {
        double t = now();
        while (rate > 0 && issued < total && idles && start + issued / rate <= t) {
            send_request(idle[--idles], start + issued / rate);
            issued++;
        }
        int finished = rate > 0 ? issued >= total : t >= end;
        if ((finished && !in_flight) || t > hard)
            break;
        double wait = 0.2;
        if (rate > 0 && issued < total && idles) {
            wait = start + issued / rate - now();
            wait = wait < 0 ? 0 : wait;
        }
        struct timespec timeout = {(time_t)wait, (long)((wait - (time_t)wait) * 1e9)};
        struct epoll_event events[256];
        int n = epoll_pwait2(poller, events, 256, &timeout, NULL);
        for (int i = 0; i < n; i++) {
            Connection *c = events[i].data.ptr;
            int result = 0;
            if (events[i].events & EPOLLOUT) {
                pump(c);
                if (c->state == ANSWERED_EARLY && c->written == request_length)
                    result = 1;
            }
            if (!result && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                result = receive(c);
            if (result == 0)
                continue;
            double at = now();
            int was_idle = c->state == IDLE;
            if (result > 0) {
                record(c, at);
            } else {
                close_connection(c);
                reconnects++;
                if (!was_idle) {
                    errors++;
                    in_flight--;
                }
                open_connection(c);
                if (was_idle)
                    continue;
            }
            if (rate > 0)
                idle[idles++] = c;
            else if (at < end)
                send_request(c, at);
        }
    }
    double elapsed = now() - start;
    if (rate == 0 && elapsed < seconds)
        elapsed = seconds;
    errors += in_flight + (rate > 0 ? total - issued : 0);
    qsort(latency, latencies, sizeof *latency, ascending);
    printf("{\"requests\":%zu,\"seconds\":%.3f,\"rps\":%.1f,\"errors\":%ld,\"not_2xx\":%ld,"
           "\"reconnects\":%ld,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f,\"bytes\":%ld,\"own_s\":%.3f}\n",
           latencies, elapsed, latencies / elapsed, errors, not_2xx, reconnects, percentile(.5),
           percentile(.9), percentile(.99), percentile(.999), percentile(1), bytes, cpu_seconds());
}
