/* sse: event streams for `make bench`. Both ends in one program, 127.0.0.1 only.
 *
 *   cc -O2 -o sse sse.c
 *   sse serve PORT EVENTS_PER_S            answers every request with a stream that never ends
 *   sse watch PORT STREAMS SECONDS PATH    opens streams, prints one JSON object
 *
 * An event carries the time at which it was written; its delay is counted where it is read, behind the
 * first second, in which the streams are opened. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAMS_MAX 20000
static double due[STREAMS_MAX]; /* by descriptor; 0: not a stream */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct sockaddr_in local(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch_fd(int poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void say(int fd, const char *text, size_t length) {
    if (write(fd, text, length) < 0 && errno != EAGAIN) { /* a slow reader misses events */
        close(fd);
        due[fd] = 0;
    }
}

static int serve(int port, double rate) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct sockaddr_in address = local(port);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        return perror("bind"), 2;
    watch_fd(poller, listener);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, 1);
        double t = now();
        for (int i = 0; i < n; i++) {
            char buffer[4096];
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client >= STREAMS_MAX)
                    close(client);
                else if (client >= 0)
                    watch_fd(poller, client);
            } else if (read(fd, buffer, sizeof buffer) <= 0) {
                close(fd);
                due[fd] = 0;
            } else if (!due[fd]) {
                say(fd, head, sizeof head - 1);
                due[fd] = t + (fd * 7919 % 1000) / 1000.0 / rate; /* not all at once */
            }
        }
        for (int fd = 3; fd < STREAMS_MAX; fd++)
            if (due[fd] && due[fd] <= t) {
                char event[200], chunk[256];
                int length = snprintf(event, sizeof event,
                    "data: {\"choices\":[{\"delta\":{\"content\":\" token\"}}],\"at\":%.6f}\n\n", now());
                int size = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", length, event);
                due[fd] += 1 / rate;
                say(fd, chunk, size);
            }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int watch(int port, int streams, double seconds, const char *path) {
    struct sockaddr_in address = local(port);
    int poller = epoll_create1(0);
    size_t count = 0, capacity = 1 << 22;
    long lost = 0, all = 0;
    double *delays = malloc(capacity * sizeof *delays);
    for (int i = 0; i < streams; i++) {
        char request[300];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address))
            return perror("connect"), 2;
        int n = snprintf(request, sizeof request,
            "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
            "X-User-Id: user-%d\r\n\r\n", path, i);
        if (write(fd, request, n) != n)
            return perror("write"), 2;
        watch_fd(poller, fd);
    }
    double begun = now(), from = begun + 1, end = from + seconds;
    for (double t = begun; t < end;) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, 100);
        t = now();
        for (int i = 0; i < n; i++) {
            char buffer[65537];
            ssize_t got = read(events[i].data.fd, buffer, sizeof buffer - 1);
            if (got <= 0) {
                close(events[i].data.fd);
                lost++;
                continue;
            }
            buffer[got] = 0;
            for (char *at = buffer; (at = strstr(at, "\"at\":")); at += 5, all++)
                if (t >= from && count < capacity)
                    delays[count++] = t - atof(at + 5);
        }
    }
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    qsort(delays, count, sizeof *delays, ascending);
    printf("{\"requests\":%ld,\"seconds\":%.3f,\"rps\":%.1f,\"errors\":%ld,\"not_2xx\":0,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f,\"own_s\":%.3f}\n",
           all, seconds, count / seconds, lost, count ? delays[count / 2] * 1e6 : 0,
           count ? delays[(size_t)(count * .99)] * 1e6 : 0, own.tv_sec + own.tv_nsec * 1e-9);
    return 0;
}

int main(int argc, char **argv) {
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && !strcmp(argv[1], "serve"))
        return serve(atoi(argv[2]), atof(argv[3]));
    if (argc == 6 && !strcmp(argv[1], "watch"))
        return watch(atoi(argv[2]), atoi(argv[3]), atof(argv[4]), argv[5]);
    fprintf(stderr, "usage: sse serve PORT EVENTS_PER_S | sse watch PORT STREAMS SECONDS PATH\n");
    return 1;
}
