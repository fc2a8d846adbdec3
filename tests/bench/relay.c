/* relay: the floor. A TCP relay without HTTP: two receives and two sends per request, nothing else.
 *
 *   cc -O2 -o relay relay.c
 *   relay LISTEN_PORT UPSTREAM_PORT          (127.0.0.1 only) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int peer[65536], poller;

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void join(int client, struct sockaddr_in upstream) {
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    connect(server, (void *)&upstream, sizeof upstream);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer[client] = server;
    peer[server] = client;
    watch(client);
    watch(server);
}

static void forward(int fd) {
    static char buffer[65536];
    if (!peer[fd])
        return;
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n > 0) {
        send(peer[fd], buffer, n, 0);
        return;
    }
    int other = peer[fd];
    peer[fd] = peer[other] = 0;
    close(fd);
    close(other);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 1;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = loopback(atoi(argv[1])), upstream = loopback(atoi(argv[2]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&own, sizeof own) || listen(listener, 4096))
        return 1;
    poller = epoll_create1(0);
    watch(listener);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                join(accept(listener, 0, 0), upstream);
            else
                forward(events[i].data.fd);
        }
    }
}
