/* What the steps share: clients, the proxy's control line, waits with deadlines, counted steps. */
#ifndef HARNESS_H
#define HARNESS_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <zookeeper/zookeeper.h>

/* Milliseconds. The server under test ticks every half second, so that it grants this timeout as it is. */
#define SESSION 3000
#define TICK 500
/* How long anything may take that is not bound to a session's timeout. */
#define PATIENCE 15000
#define ROOT "/c"

/* Set once by main. */
extern const char *server_address;

/* A client and how often its session changed state. */
struct client {
    zhandle_t *zh;
    atomic_int connected, connecting, expired;
};

/* What one or more watches told, without session events. */
struct events {
    pthread_mutex_t lock;
    int count;
    struct {
        int type;
        char path[96];
    } list[16];
};

/* Ends the running step as failed. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void check_int(const char *what, int64_t found, int64_t wanted);
void check_str(const char *what, const char *found, const char *wanted);

long now_ms(void);
void nap(void);

/* Polls until the condition is true. */
#define WAIT_MS(what, limit, condition)                                              \
    do {                                                                             \
        long deadline_ = now_ms() + (limit);                                         \
        while (!(condition)) {                                                       \
            if (now_ms() > deadline_) fail("%s: not within %d ms", what, (int)(limit)); \
            nap();                                                                   \
        }                                                                            \
    } while (0)
#define WAIT(what, condition) WAIT_MS(what, PATIENCE, condition)

/* The server counts in whole ticks from the last ping, which came at most a third of the timeout before the
 * freeze; one second is for a busy machine. */
void check_within_timeout(const char *what, long lasted);

/* A connected client, directly (link NULL) or over a link of the proxy; closed at the end of the step. */
struct client *connect_client(const char *link, const char *chroot);
void close_client(struct client *client);
int64_t session_of(const struct client *client);

/* An empty collector; freed at the end of the step. */
struct events *new_events(void);
void on_event(zhandle_t *zh, int type, int state, const char *path, void *events);
int event_count(struct events *events);
/* Waits for event number `index` (from 0) and compares it. */
void expect_event(const char *what, struct events *events, int index, int type, const char *path);

void proxy(const char *command, const char *link);

/* Plain calls that have to succeed. */
void create(struct client *client, const char *path, const char *data, int mode, char *made);
int set(struct client *client, const char *path, const char *data, int version);
void get(struct client *client, const char *path, char *text, size_t size, struct Stat *stat);
/* The sorted children; names beyond `room` are counted only. */
int children(struct client *client, const char *path, char names[][64], int room);

void open_control(const char *address);
void step(const char *name, void (*run)(void));
int failed_steps(void);

void run_basics(void);
void run_shared(void);
void run_sessions(void);
void run_story(void);

#endif
