/* Three web hosts read one configuration, two databases elect a master, and the master's host dies.
 * Hosts and databases act in watches and completions alone, as programs on this client do. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define SHOP ROOT "/shop"
#define CONFIG SHOP "/config"
#define MASTER SHOP "/master"

/* What a web host learned about one znode, oldest first. */
struct follower {
    struct client *client;
    const char *path;
    pthread_mutex_t lock;
    int count;
    long last_at;
    struct {
        int version;
        char text[32];
    } seen[16];
};

struct host {
    struct follower config, master;
};

static void follow(struct follower *follower);

static void on_change(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh;
    (void)state;
    (void)path;
    if (type != ZOO_SESSION_EVENT) follow(context);
}

static void on_appeared(int code, const struct Stat *stat, const void *context) {
    (void)stat;
    /* It came between the read and the watch: read again. */
    if (code == ZOK) follow((struct follower *)(intptr_t)context);
}

static void on_data(int code, const char *value, int length, const struct Stat *stat, const void *context) {
    struct follower *follower = (struct follower *)(intptr_t)context;
    if (code == ZNONODE) zoo_awexists(follower->client->zh, follower->path, on_change, follower, on_appeared, follower);
    if (code != ZOK) return;
    pthread_mutex_lock(&follower->lock);
    if (follower->count < 16) {
        follower->seen[follower->count].version = stat->version;
        snprintf(follower->seen[follower->count].text, sizeof follower->seen[0].text, "%.*s", length, value);
    }
    follower->count++;
    follower->last_at = now_ms();
    pthread_mutex_unlock(&follower->lock);
}

static void follow(struct follower *follower) {
    zoo_awget(follower->client->zh, follower->path, on_change, follower, on_data, follower);
}

static void start_follower(struct follower *follower, struct client *client, const char *path) {
    memset(follower, 0, sizeof *follower);
    pthread_mutex_init(&follower->lock, NULL);
    follower->client = client;
    follower->path = path;
    follow(follower);
}

static int knows(struct follower *follower, int count, const char *text) {
    pthread_mutex_lock(&follower->lock);
    int known = follower->count == count && strcmp(follower->seen[count - 1].text, text) == 0;
    pthread_mutex_unlock(&follower->lock);
    return known;
}

/* A database host: creates the master's ephemeral, or waits until it is gone and tries again. */
struct database {
    struct client *client;
    const char *name, *link;
    atomic_int won, problem;
};

static void run_for_master(struct database *database);

static void on_master_gone(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh;
    (void)state;
    (void)path;
    if (type == ZOO_DELETED_EVENT) run_for_master(context);
}

static void on_master_seen(int code, const struct Stat *stat, const void *context) {
    (void)stat;
    if (code == ZNONODE) run_for_master((struct database *)(intptr_t)context);
}

static void on_claim(int code, const char *name, const void *context) {
    struct database *database = (struct database *)(intptr_t)context;
    (void)name;
    if (code == ZOK) database->won = 1;
    else if (code == ZNODEEXISTS) zoo_awexists(database->client->zh, MASTER, on_master_gone, database, on_master_seen, database);
    else database->problem = code;
}

static void run_for_master(struct database *database) {
    zoo_acreate(database->client->zh, MASTER, database->name, (int)strlen(database->name), &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL,
                on_claim, database);
}

static struct host hosts[3];
static struct database first, second;

static void configuration_reaches_all(struct client *admin) {
    char text[32];
    for (int version = 0; version <= 5; version++) {
        snprintf(text, sizeof text, "config %d", version);
        if (version > 0) check_int("version", set(admin, CONFIG, text, version - 1), version);
        for (int host = 0; host < 3; host++) WAIT("a host has the change", knows(&hosts[host].config, version + 1, text));
    }
    for (int host = 0; host < 3; host++)
        for (int version = 0; version <= 5; version++)
            check_int("every change, once and in order", hosts[host].config.seen[version].version, version);
}

static void master_dies(void) {
    long began = now_ms();
    proxy("freeze", first.link);
    WAIT_MS("the other takes over", SESSION + 2 * TICK + 2000, second.won);
    for (int host = 0; host < 3; host++) {
        WAIT("a host knows the new master", knows(&hosts[host].master, 2, "db-b"));
        check_within_timeout("a host knows", hosts[host].master.last_at - began);
        check_str("the master before", hosts[host].master.seen[0].text, "db-a");
    }
    check_int("no problem on the way", second.problem, 0);
}

static void old_master_returns(void) {
    int64_t old = session_of(first.client);
    struct Stat stat;
    char text[16], made[64];
    check_int("it must doubt already", zoo_state(first.client->zh) != ZOO_CONNECTED_STATE, 1);
    proxy("heal", first.link);
    WAIT("it is told that its session is gone", first.client->expired == 1);
    struct client *fresh = connect_client(first.link, NULL);
    get(fresh, MASTER, text, sizeof text, &stat);
    check_str("master by name", text, "db-b");
    check_int("not by its old or new session", stat.ephemeralOwner == old || stat.ephemeralOwner == session_of(fresh), 0);
    int code = zoo_create(fresh->zh, MASTER, "db-a", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, made, sizeof made);
    check_int("its claim", code, ZNODEEXISTS);
}

static void story(void) {
    struct client *admin = connect_client(NULL, NULL);
    create(admin, SHOP, "", ZOO_PERSISTENT, NULL);
    create(admin, CONFIG, "config 0", ZOO_PERSISTENT, NULL);
    for (int host = 0; host < 3; host++) {
        struct client *client = connect_client(NULL, NULL);
        start_follower(&hosts[host].config, client, CONFIG);
        start_follower(&hosts[host].master, client, MASTER);
    }
    configuration_reaches_all(admin);
    first = (struct database){.client = connect_client("c-db-a", NULL), .name = "db-a", .link = "c-db-a"};
    second = (struct database){.client = connect_client("c-db-b", NULL), .name = "db-b", .link = "c-db-b"};
    run_for_master(&first);
    WAIT("the first is master", first.won);
    run_for_master(&second);
    for (int host = 0; host < 3; host++) WAIT("a host knows the master", knows(&hosts[host].master, 1, "db-a"));
    check_int("only one", second.won, 0);
    master_dies();
    old_master_returns();
}

void run_story(void) { step("story", story); }
