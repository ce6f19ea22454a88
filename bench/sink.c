/* A mail server and an HTTP mail API that take everything and keep nothing: `sink smtp|http COUNTS`.
 *
 * Listens on a free port of the loopback and writes the port's number and a newline to standard output. One thread,
 * epoll. COUNTS is a file of four unsigned 64-bit numbers that is mapped: mails taken, octets of their bodies, and the
 * first and last moment at which a mail was taken (nanoseconds of the monotonic clock).
 *
 * SMTP: EHLO with PIPELINING and 8BITMIME, any number of commands in one write. HTTP: keep-alive, pipelining, POST with
 * Content-Length. A path that ends in "/batch" is answered with one result for each mail in the array; mails are told
 * by `{"From":`, which cannot stand inside a JSON string.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 18, EVENTS = 256 };
enum state { COMMANDS, BODY };

struct buffer {
    char *octets;
    size_t used, size;
};

struct connection {
    int fd;
    enum state state;
    int closing, polled_out;
    struct buffer in, out; /* out: what the socket did not take yet, from `sent` on */
    size_t sent;
    int at_line_start;     /* SMTP: nothing of the body was thrown away since a line began */
    size_t body_left;      /* HTTP */
    int is_batch;
    uint64_t mails;        /* HTTP: those seen in the body so far */
};

static volatile uint64_t *counts;
static int epoll;

static void *must(void *allocated)
{
    if (!allocated) {
        perror("sink: out of memory");
        exit(1);
    }
    return allocated;
}

static void reserve(struct buffer *buffer, size_t more)
{
    if (buffer->used + more <= buffer->size)
        return;
    buffer->size = (buffer->used + more) * 2;
    buffer->octets = must(realloc(buffer->octets, buffer->size));
}

static void append(struct buffer *buffer, const char *octets, size_t length)
{
    reserve(buffer, length);
    memcpy(buffer->octets + buffer->used, octets, length);
    buffer->used += length;
}

static void consume(struct buffer *buffer, size_t length)
{
    buffer->used -= length;
    memmove(buffer->octets, buffer->octets + length, buffer->used);
}

static void say(struct connection *c, const char *text) { append(&c->out, text, strlen(text)); }

static void count(uint64_t mails)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t at = now.tv_sec * 1000000000ull + now.tv_nsec;
    if (!counts[0])
        counts[2] = at;
    counts[3] = at;
    counts[0] += mails;
}

/* --- SMTP ------------------------------------------------------------------------------------------------------- */

static void queued(struct connection *c)
{
    char reply[64];
    count(1);
    snprintf(reply, sizeof reply, "250 2.0.0 Ok: queued as %lX\r\n", (unsigned long)counts[0]);
    say(c, reply);
    c->state = COMMANDS;
}

/* Returns how many octets were used; 0 when more have to come. */
static size_t smtp_body(struct connection *c, char *start, size_t length)
{
    if (c->at_line_start && length >= 3 && !memcmp(start, ".\r\n", 3)) {
        queued(c);
        return 3;
    }
    char *end = memmem(start, length, "\r\n.\r\n", 5);
    if (end) {
        counts[1] += end - start + 2;
        queued(c);
        return end - start + 5;
    }
    if (length <= 4)
        return 0;
    c->at_line_start = 0;
    counts[1] += length - 4; /* the last four may begin the end */
    return length - 4;
}

static size_t smtp_command(struct connection *c, char *start, size_t length)
{
    char *end = memchr(start, '\n', length);
    if (!end)
        return 0;
    if (!strncasecmp(start, "EHLO", 4)) {
        say(c, "250-sink\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n");
    } else if (!strncasecmp(start, "DATA", 4)) {
        say(c, "354 go\r\n");
        c->state = BODY;
        c->at_line_start = 1;
    } else if (!strncasecmp(start, "QUIT", 4)) {
        say(c, "221 bye\r\n");
        c->closing = 1;
    } else {
        say(c, "250 2.0.0 Ok\r\n");
    }
    return end - start + 1;
}

/* --- HTTP ------------------------------------------------------------------------------------------------------- */

#define RESULT "{\"ErrorCode\":0,\"Message\":\"OK\",\"MessageID\":\"00000000-0000-4000-8000-%012lx\"}"
static const char MAIL[] = "{\"From\":";

static void http_answer(struct connection *c)
{
    char item[128], head[160];
    uint64_t mails = c->is_batch && c->mails ? c->mails : 1;
    uint64_t first = counts[0] + 1;
    int width = snprintf(item, sizeof item, RESULT, (unsigned long)first);
    size_t length = c->is_batch ? mails * (width + 1) + 1 : (size_t)width;
    append(&c->out, head, snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", length));
    for (uint64_t n = 0; n < mails; n++) {
        if (c->is_batch)
            say(c, n ? "," : "[");
        append(&c->out, item, snprintf(item, sizeof item, RESULT, (unsigned long)(first + n)));
    }
    if (c->is_batch)
        say(c, "]");
    count(mails);
    c->state = COMMANDS;
}

static size_t http_body(struct connection *c, char *start, size_t length)
{
    size_t used = length < c->body_left ? length : c->body_left;
    if (c->is_batch) {
        char *found = start, *end = start + used;
        while ((found = memmem(found, end - found, MAIL, sizeof MAIL - 1))) {
            c->mails++;
            found += sizeof MAIL - 1;
        }
        size_t keep = used < c->body_left ? sizeof MAIL - 2 : 0; /* a marker may be cut in two; fewer hold none */
        if (keep >= used)
            return 0;
        used -= keep;
    }
    c->body_left -= used;
    counts[1] += used;
    if (!c->body_left)
        http_answer(c);
    return used;
}

static size_t http_head(struct connection *c, char *start, size_t length)
{
    char *end = memmem(start, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    *end = 0;
    char *line_end = strstr(start, " HTTP/");
    char *field = strcasestr(start, "\r\ncontent-length:");
    c->body_left = field ? strtoul(field + 17, 0, 10) : 0;
    c->is_batch = line_end && line_end - start > 6 && !memcmp(line_end - 6, "/batch", 6);
    c->mails = 0;
    c->state = BODY;
    if (!c->body_left)
        http_answer(c);
    return end - start + 4;
}

/* --- connections ------------------------------------------------------------------------------------------------- */

static void hang_up(struct connection *c)
{
    close(c->fd);
    free(c->in.octets);
    free(c->out.octets);
    free(c);
}

/* Returns 0 when the connection is gone. */
static int flush(struct connection *c)
{
    while (c->sent < c->out.used) {
        ssize_t written = write(c->fd, c->out.octets + c->sent, c->out.used - c->sent);
        if (written < 0 && errno == EAGAIN)
            break;
        if (written < 0) {
            hang_up(c);
            return 0;
        }
        c->sent += written;
    }
    int waiting = c->sent < c->out.used;
    if (!waiting)
        c->out.used = c->sent = 0;
    if (!waiting && c->closing) {
        hang_up(c);
        return 0;
    }
    if (waiting != c->polled_out) {
        struct epoll_event event = {.events = EPOLLIN | (waiting ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
        c->polled_out = waiting;
    }
    return 1;
}

static void serve(struct connection *c, int is_smtp)
{
    reserve(&c->in, READ_SIZE);
    ssize_t got = read(c->fd, c->in.octets + c->in.used, READ_SIZE);
    if (got < 0 && errno == EAGAIN) {
        flush(c);
        return;
    }
    if (got <= 0) {
        hang_up(c);
        return;
    }
    c->in.used += got;
    size_t used = 0;
    while (used < c->in.used && !c->closing) {
        char *start = c->in.octets + used;
        size_t left = c->in.used - used, more;
        if (is_smtp)
            more = c->state == BODY ? smtp_body(c, start, left) : smtp_command(c, start, left);
        else
            more = c->state == BODY ? http_body(c, start, left) : http_head(c, start, left);
        if (!more)
            break;
        used += more;
    }
    consume(&c->in, used);
    flush(c);
}

static void welcome(int listener, int is_smtp)
{
    int on = 1, fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *c = must(calloc(1, sizeof *c));
    c->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    if (is_smtp) {
        say(c, "220 sink ESMTP\r\n");
        flush(c);
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (void *)&address, length) || listen(listener, 1024)
        || getsockname(listener, (void *)&address, &length)) {
        perror("sink: cannot listen");
        exit(1);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv)
{
    if (argc != 3 || (strcmp(argv[1], "smtp") && strcmp(argv[1], "http"))) {
        fprintf(stderr, "usage: sink smtp|http COUNTS\n");
        return 2;
    }
    int file = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, 4096)) {
        perror("sink: cannot write the counts");
        return 1;
    }
    counts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counts == MAP_FAILED) {
        perror("sink: cannot map the counts");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int is_smtp = !strcmp(argv[1], "smtp"), listener = listen_on_loopback();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = 0}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int n = 0; n < ready; n++) {
            if (events[n].data.ptr)
                serve(events[n].data.ptr, is_smtp);
            else
                welcome(listener, is_smtp);
        }
    }
}
