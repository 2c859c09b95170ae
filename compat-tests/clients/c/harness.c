#include "harness.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *server_address;

static jmp_buf step_end;
static const char *step_name;
static int failures;
static FILE *control;
static struct client *clients[16];
static int client_count;
static struct events *collectors[32];
static int collector_count;

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED %s: ", step_name);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    longjmp(step_end, 1);
}

void check_int(const char *what, int64_t found, int64_t wanted) {
    if (found != wanted) fail("%s: found %lld, expected %lld", what, (long long)found, (long long)wanted);
}

void check_str(const char *what, const char *found, const char *wanted) {
    if (strcmp(found, wanted) != 0) fail("%s: found '%s', expected '%s'", what, found, wanted);
}

long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

void nap(void) {
    struct timespec short_while = {0, 5000000};
    nanosleep(&short_while, NULL);
}

void check_within_timeout(const char *what, long lasted) {
    if (lasted < SESSION / 2 || lasted > SESSION + 2 * TICK + 1000)
        fail("%s: took %ld ms with a session timeout of %d ms", what, lasted, SESSION);
}

static void on_session(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct client *client = context;
    (void)zh;
    (void)path;
    if (type != ZOO_SESSION_EVENT) return;
    if (state == ZOO_CONNECTED_STATE) client->connected++;
    else if (state == ZOO_EXPIRED_SESSION_STATE) client->expired++;
    else client->connecting++;
}

static void ask_proxy(const char *command, const char *link, char *answer, int size) {
    fprintf(control, "%s %s\n", command, link);
    fflush(control);
    if (fgets(answer, size, control) == NULL) fail("proxy %s %s: no answer", command, link);
    answer[strcspn(answer, "\n")] = '\0';
    if (strncmp(answer, "error", 5) == 0) fail("proxy %s %s: %s", command, link, answer);
}

void proxy(const char *command, const char *link) {
    char answer[128];
    ask_proxy(command, link, answer, sizeof answer);
}

struct client *connect_client(const char *link, const char *chroot) {
    char address[128], full[256];
    struct client *client = calloc(1, sizeof *client);
    if (link != NULL) ask_proxy("open", link, address, sizeof address);
    else snprintf(address, sizeof address, "%s", server_address);
    snprintf(full, sizeof full, "%s%s", address, chroot == NULL ? "" : chroot);
    if (client == NULL || client_count == 16) fail("no room for a client");
    clients[client_count++] = client;
    client->zh = zookeeper_init(full, on_session, SESSION, NULL, client, ZOO_NO_LOG_CLIENTENV);
    if (client->zh == NULL) fail("zookeeper_init");
    WAIT("a session", client->connected == 1);
    check_int("session timeout granted", zoo_recv_timeout(client->zh), SESSION);
    return client;
}

void close_client(struct client *client) {
    zhandle_t *zh = client->zh;
    client->zh = NULL;
    if (zh != NULL) zookeeper_close(zh);
}

int64_t session_of(const struct client *client) { return zoo_client_id(client->zh)->client_id; }

struct events *new_events(void) {
    struct events *events = calloc(1, sizeof *events);
    if (events == NULL || collector_count == 32) fail("no room for events");
    pthread_mutex_init(&events->lock, NULL);
    collectors[collector_count++] = events;
    return events;
}

void on_event(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct events *events = context;
    (void)zh;
    (void)state;
    if (type == ZOO_SESSION_EVENT) return;
    pthread_mutex_lock(&events->lock);
    if (events->count < 16) {
        events->list[events->count].type = type;
        snprintf(events->list[events->count].path, sizeof events->list[0].path, "%s", path);
    }
    events->count++;
    pthread_mutex_unlock(&events->lock);
}

int event_count(struct events *events) {
    pthread_mutex_lock(&events->lock);
    int count = events->count;
    pthread_mutex_unlock(&events->lock);
    return count;
}

void expect_event(const char *what, struct events *events, int index, int type, const char *path) {
    WAIT(what, event_count(events) > index);
    check_int(what, events->list[index].type, type);
    check_str(what, events->list[index].path, path);
}

void create(struct client *client, const char *path, const char *data, int mode, char *made) {
    char name[128];
    int length = data == NULL ? -1 : (int)strlen(data);
    int code = zoo_create(client->zh, path, data, length, &ZOO_OPEN_ACL_UNSAFE, mode, name, sizeof name);
    if (code != ZOK) fail("create %s: %s", path, zerror(code));
    if (made != NULL) strcpy(made, name);
}

int set(struct client *client, const char *path, const char *data, int version) {
    struct Stat stat;
    int code = zoo_set2(client->zh, path, data, (int)strlen(data), version, &stat);
    if (code != ZOK) fail("set %s: %s", path, zerror(code));
    return stat.version;
}

void get(struct client *client, const char *path, char *text, size_t size, struct Stat *stat) {
    int length = (int)size - 1;
    int code = zoo_get(client->zh, path, 0, text, &length, stat);
    if (code != ZOK) fail("get %s: %s", path, zerror(code));
    text[length < 0 ? 0 : length] = '\0';
}

static int by_name(const void *left, const void *right) { return strcmp(left, right); }

int children(struct client *client, const char *path, char names[][64], int room) {
    struct String_vector found;
    int code = zoo_get_children(client->zh, path, 0, &found);
    if (code != ZOK) fail("children of %s: %s", path, zerror(code));
    int count = found.count;
    for (int index = 0; index < count && index < room; index++) snprintf(names[index], 64, "%s", found.data[index]);
    deallocate_String_vector(&found);
    qsort(names, (size_t)(count < room ? count : room), 64, by_name);
    return count;
}

void open_control(const char *address) {
    char host[64];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    snprintf(host, sizeof host, "%.*s", colon == NULL ? 0 : (int)(colon - address), address);
    if (colon == NULL || getaddrinfo(host, colon + 1, &hints, &found) != 0) exit(2);
    int link = socket(found->ai_family, found->ai_socktype, 0);
    if (link < 0 || connect(link, found->ai_addr, found->ai_addrlen) != 0) exit(2);
    freeaddrinfo(found);
    control = fdopen(link, "r+");
    if (control == NULL) exit(2);
}

void step(const char *name, void (*run)(void)) {
    step_name = name;
    if (setjmp(step_end) == 0) {
        run();
        printf("ok %s\n", name);
    } else {
        failures++;
    }
    fflush(stdout);
    /* Clients first: no watch can run any more when what it writes to is freed. */
    while (client_count > 0) {
        close_client(clients[--client_count]);
        free(clients[client_count]);
    }
    while (collector_count > 0) free(collectors[--collector_count]);
}

int failed_steps(void) { return failures; }
