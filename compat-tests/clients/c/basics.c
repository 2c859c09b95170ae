/* Steps on znodes: data, versions, errors, numbers, watches. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int same_stat(const struct Stat *left, const struct Stat *right) {
    return left->czxid == right->czxid && left->mzxid == right->mzxid && left->pzxid == right->pzxid && left->ctime == right->ctime &&
           left->mtime == right->mtime && left->version == right->version && left->cversion == right->cversion &&
           left->aversion == right->aversion && left->ephemeralOwner == right->ephemeralOwner &&
           left->dataLength == right->dataLength && left->numChildren == right->numChildren;
}

static void create_read_exists(void) {
    struct client *client = connect_client(NULL, NULL);
    struct Stat stat, same;
    char text[64], made[128], names[4][64];
    create(client, ROOT, "", ZOO_PERSISTENT, made);
    check_str("created path", made, ROOT);
    create(client, ROOT "/node", "first", ZOO_PERSISTENT, made);
    get(client, ROOT "/node", text, sizeof text, &stat);
    check_str("data", text, "first");
    check_int("version", stat.version, 0);
    check_int("children's version", stat.cversion, 0);
    check_int("length", stat.dataLength, 5);
    check_int("first and last change", stat.czxid == stat.mzxid && stat.mzxid == stat.pzxid, 1);
    check_int("exists", zoo_exists(client->zh, ROOT "/node", 0, &same), ZOK);
    check_int("exists is the same stat", same_stat(&stat, &same), 1);
    check_int("an absent node", zoo_exists(client->zh, ROOT "/absent", 0, &stat), ZNONODE);
    check_int("created and its stat",
              zoo_create2(client->zh, ROOT "/two", "xy", 2, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made, &stat), ZOK);
    check_int("length in the stat", stat.dataLength, 2);
    check_int("children", children(client, ROOT, names, 4), 2);
    check_str("first child", names[0], "node");
    create(client, ROOT "/null", NULL, ZOO_PERSISTENT, NULL);
    int length = sizeof text;
    check_int("get of no data", zoo_get(client->zh, ROOT "/null", 0, text, &length, &stat), ZOK);
    check_int("no data is not empty data", length, -1);
}

static void set_delete_versions(void) {
    struct client *client = connect_client(NULL, NULL);
    const char *path = ROOT "/versions";
    create(client, path, "0", ZOO_PERSISTENT, NULL);
    for (int version = 0; version < 3; version++)
        check_int("version after set", set(client, path, "x", version), version + 1);
    check_int("set at an old version", zoo_set(client->zh, path, "", 0, 1), ZBADVERSION);
    check_int("version after set at any version", set(client, path, "", -1), 4);
    check_int("delete at an old version", zoo_delete(client->zh, path, 3), ZBADVERSION);
    check_int("delete", zoo_delete(client->zh, path, 4), ZOK);
    check_int("read after delete", zoo_exists(client->zh, path, 0, NULL), ZNONODE);
}

static int creation(struct client *client, const char *path, const struct ACL_vector *acl) {
    char made[128];
    return zoo_create(client->zh, path, "", 0, acl, ZOO_PERSISTENT, made, sizeof made);
}

static void error_codes(void) {
    struct client *client = connect_client(NULL, NULL);
    struct ACL unknown = {31, {"nosuch", "x"}};
    struct ACL_vector unknown_acl = {1, &unknown}, none = {0, NULL};
    struct String_vector names;
    create(client, ROOT "/errors", "", ZOO_PERSISTENT, NULL);
    check_int("create twice", creation(client, ROOT "/errors", &ZOO_OPEN_ACL_UNSAFE), ZNODEEXISTS);
    check_int("create under nothing", creation(client, ROOT "/errors/a/b", &ZOO_OPEN_ACL_UNSAFE), ZNONODE);
    check_int("set of nothing", zoo_set(client->zh, ROOT "/errors/a", "", 0, -1), ZNONODE);
    check_int("delete of nothing", zoo_delete(client->zh, ROOT "/errors/a", -1), ZNONODE);
    check_int("children of nothing", zoo_get_children(client->zh, ROOT "/errors/a", 0, &names), ZNONODE);
    create(client, ROOT "/errors/short", "", ZOO_EPHEMERAL, NULL);
    check_int("child of an ephemeral", creation(client, ROOT "/errors/short/a", &ZOO_OPEN_ACL_UNSAFE), ZNOCHILDRENFOREPHEMERALS);
    check_int("delete with a child", zoo_delete(client->zh, ROOT "/errors", -1), ZNOTEMPTY);
    check_int("unknown scheme", creation(client, ROOT "/errors/b", &unknown_acl), ZINVALIDACL);
    check_int("empty acl", creation(client, ROOT "/errors/b", &none), ZINVALIDACL);
}

static void sequences_and_owners(void) {
    struct client *client = connect_client(NULL, NULL);
    struct Stat stat;
    char made[128], text[8];
    create(client, ROOT "/sequences", "", ZOO_PERSISTENT, NULL);
    create(client, ROOT "/sequences/n-", "", ZOO_PERSISTENT_SEQUENTIAL, made);
    check_str("first number", made, ROOT "/sequences/n-0000000000");
    create(client, ROOT "/sequences/plain", "", ZOO_PERSISTENT, NULL);
    create(client, ROOT "/sequences/n-", "", ZOO_EPHEMERAL_SEQUENTIAL, made);
    check_str("a plain child counts", made, ROOT "/sequences/n-0000000002");
    get(client, made, text, sizeof text, &stat);
    check_int("owner is the session", stat.ephemeralOwner, session_of(client));
    create(client, ROOT "/sequences/container", "", ZOO_CONTAINER, NULL);
    create(client, ROOT "/sequences/container/a", "", ZOO_PERSISTENT, NULL);
    int code = zoo_create_ttl(client->zh, ROOT "/sequences/ttl", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 60000, made,
                              sizeof made);
    check_int("a ttl node while extended types are off", code, ZUNIMPLEMENTED);
}

static int watched_get(struct client *client, const char *path, struct events *events) {
    char text[64];
    int length = sizeof text;
    return zoo_wget(client->zh, path, on_event, events, text, &length, NULL);
}

static void data_watch(void) {
    struct client *watcher = connect_client(NULL, NULL), *writer = connect_client(NULL, NULL);
    struct events *events = new_events();
    const char *path = ROOT "/data-watch";
    char text[64];
    create(writer, path, "1", ZOO_PERSISTENT, NULL);
    check_int("watch", watched_get(watcher, path, events), ZOK);
    set(writer, path, "2", -1);
    expect_event("after set", events, 0, ZOO_CHANGED_EVENT, path);
    set(writer, path, "3", -1);
    get(watcher, path, text, sizeof text, NULL);
    check_str("data at the next read", text, "3");
    check_int("a watch fires once", event_count(events), 1);
    check_int("watch", watched_get(watcher, path, events), ZOK);
    check_int("delete", zoo_delete(writer->zh, path, -1), ZOK);
    expect_event("after delete", events, 1, ZOO_DELETED_EVENT, path);
}

static void child_watch(void) {
    struct client *watcher = connect_client(NULL, NULL), *writer = connect_client(NULL, NULL);
    struct events *events = new_events();
    struct String_vector names;
    const char *path = ROOT "/child-watch";
    create(writer, path, "", ZOO_PERSISTENT, NULL);
    for (int turn = 0; turn < 3; turn++) {
        check_int("watch", zoo_wget_children(watcher->zh, path, on_event, events, &names), ZOK);
        check_int("children", names.count, turn == 1 ? 1 : 0);
        deallocate_String_vector(&names);
        if (turn == 0) create(writer, ROOT "/child-watch/a", "", ZOO_PERSISTENT, NULL);
        else check_int("delete", zoo_delete(writer->zh, turn == 1 ? ROOT "/child-watch/a" : path, -1), ZOK);
        expect_event("after the change", events, turn, turn == 2 ? ZOO_DELETED_EVENT : ZOO_CHILD_EVENT, path);
    }
}

static void exists_watch(void) {
    struct client *watcher = connect_client(NULL, NULL), *writer = connect_client(NULL, NULL);
    struct events *events = new_events();
    const char *path = ROOT "/exists-watch";
    check_int("absent", zoo_wexists(watcher->zh, path, on_event, events, NULL), ZNONODE);
    create(writer, path, "", ZOO_PERSISTENT, NULL);
    expect_event("after create", events, 0, ZOO_CREATED_EVENT, path);
    check_int("present", zoo_wexists(watcher->zh, path, on_event, events, NULL), ZOK);
    set(writer, path, "x", -1);
    expect_event("after set", events, 1, ZOO_CHANGED_EVENT, path);
    check_int("present", zoo_wexists(watcher->zh, path, on_event, events, NULL), ZOK);
    check_int("delete", zoo_delete(writer->zh, path, -1), ZOK);
    expect_event("after delete", events, 2, ZOO_DELETED_EVENT, path);
    check_int("no watch to remove", zoo_remove_watches(watcher->zh, path, ZWATCHTYPE_DATA, on_event, events, 0), ZNOWATCHER);
}

static atomic_int answers, errors;

static void on_created(int code, const char *name, const void *wanted) {
    if (code != ZOK || strcmp(name, wanted) != 0) errors++;
    answers++;
}

static void large_and_many(void) {
    enum { LARGE = 1000000, MANY = 1000 };
    struct client *client = connect_client(NULL, NULL);
    static char sent[LARGE], received[LARGE + 1], wanted[MANY][64];
    char made[128], names[1][64];
    int length = sizeof received;
    for (int index = 0; index < LARGE; index++) sent[index] = (char)(index % 251);
    check_int("create", zoo_create(client->zh, ROOT "/large", sent, LARGE, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made), ZOK);
    check_int("get", zoo_get(client->zh, ROOT "/large", 0, received, &length, NULL), ZOK);
    check_int("length", length, LARGE);
    check_int("large data", memcmp(sent, received, LARGE), 0);
    answers = errors = 0;
    for (int number = 0; number < MANY; number++) {
        snprintf(wanted[number], sizeof wanted[0], ROOT "/large/n-%010d", number);
        int code = zoo_acreate(client->zh, ROOT "/large/n-", "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, on_created,
                               wanted[number]);
        check_int("create sent", code, ZOK);
    }
    WAIT("all answers", answers == MANY);
    check_int("answers with an error or out of order", errors, 0);
    check_int("children", children(client, ROOT "/large", names, 1), MANY);
}

static void chroot_paths(void) {
    struct client *outer = connect_client(NULL, NULL);
    struct events *events = new_events();
    char made[128], text[16];
    create(outer, ROOT "/chroot", "", ZOO_PERSISTENT, NULL);
    struct client *inner = connect_client(NULL, ROOT "/chroot");
    check_int("absent", zoo_wexists(inner->zh, "/é", on_event, events, NULL), ZNONODE);
    create(inner, "/é", "in", ZOO_PERSISTENT, made);
    check_str("path inside", made, "/é");
    expect_event("event path inside", events, 0, ZOO_CREATED_EVENT, "/é");
    get(outer, ROOT "/chroot/é", text, sizeof text, NULL);
    check_str("path outside", text, "in");
}

static void close_is_at_once(void) {
    struct client *client = connect_client(NULL, NULL), *other = connect_client(NULL, NULL);
    struct events *events = new_events();
    const char *path = ROOT "/closing";
    create(client, path, "", ZOO_EPHEMERAL, NULL);
    check_int("there", zoo_wexists(other->zh, path, on_event, events, NULL), ZOK);
    close_client(client);
    WAIT_MS("the ephemeral goes before its session could time out", SESSION / 2, event_count(events) == 1);
    expect_event("event", events, 0, ZOO_DELETED_EVENT, path);
    check_int("gone", zoo_exists(other->zh, path, 0, NULL), ZNONODE);
}

void run_basics(void) {
    step("create_read_exists", create_read_exists);
    step("set_delete_versions", set_delete_versions);
    step("error_codes", error_codes);
    step("sequences_and_owners", sequences_and_owners);
    step("data_watch", data_watch);
    step("child_watch", child_watch);
    step("exists_watch", exists_watch);
    step("large_and_many", large_and_many);
    step("chroot", chroot_paths);
    step("close_is_at_once", close_is_at_once);
}
