/* Steps on what clients share: access control, transactions, a lock, a master. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

static void note_code(int code, const void *slot) { *(atomic_int *)(intptr_t)slot = code; }

static void authenticate(struct client *client, const char *credential) {
    static atomic_int result;
    result = 1;
    int sent = zoo_add_auth(client->zh, "digest", credential, (int)strlen(credential), note_code, &result);
    check_int("auth sent", sent, ZOK);
    WAIT("auth answered", result != 1);
    check_int("auth", result, ZOK);
}

static int reading(struct client *client, const char *path) {
    char text[64];
    int length = sizeof text;
    return zoo_get(client->zh, path, 0, text, &length, NULL);
}

static void digest_acl(void) {
    struct client *owner = connect_client(NULL, NULL), *stranger = connect_client(NULL, NULL);
    const char *path = ROOT "/secret";
    struct ACL_vector stored;
    struct Stat stat;
    char made[128];
    authenticate(owner, "ann:pass");
    authenticate(stranger, "ann:wrong");
    check_int("create", zoo_create(owner->zh, path, "mine", 4, &ZOO_CREATOR_ALL_ACL, 0, made, sizeof made), ZOK);
    check_int("read", reading(stranger, path), ZNOAUTH);
    check_int("write", zoo_set(stranger->zh, path, "", 0, -1), ZNOAUTH);
    check_int("create below", zoo_create(stranger->zh, ROOT "/secret/a", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made), ZNOAUTH);
    check_int("acl", zoo_get_acl(owner->zh, path, &stored, &stat), ZOK);
    check_int("entries", stored.count, 1);
    check_int("rights", stored.data[0].perms, ZOO_PERM_ALL);
    check_str("scheme", stored.data[0].id.scheme, "digest");
    /* base64(sha1("ann:pass")) */
    check_str("id", stored.data[0].id.id, "ann:daNAg2SRdNdIcsIbxB9c3X+vhAQ=");
    deallocate_ACL_vector(&stored);
    check_int("acl at an old version", zoo_set_acl(owner->zh, path, 7, &ZOO_READ_ACL_UNSAFE), ZBADVERSION);
    check_int("acl", zoo_set_acl(owner->zh, path, 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    check_int("read by anyone", reading(stranger, path), ZOK);
    check_int("write by anyone", zoo_set(stranger->zh, path, "", 0, -1), ZNOAUTH);
    check_int("write by its creator, too", zoo_set(owner->zh, path, "", 0, -1), ZNOAUTH);
    check_int("stat", zoo_exists(owner->zh, path, 0, &stat), ZOK);
    check_int("acl version", stat.aversion, 1);
}

static void transactions(void) {
    struct client *client = connect_client(NULL, NULL);
    char made[128], text[16], names[2][64];
    struct Stat stat;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    create(client, ROOT "/multi", "", ZOO_PERSISTENT, NULL);
    create(client, ROOT "/multi/old", "0", ZOO_PERSISTENT, NULL);
    zoo_check_op_init(&ops[0], ROOT "/multi/old", 0);
    zoo_create_op_init(&ops[1], ROOT "/multi/new", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_set_op_init(&ops[2], ROOT "/multi/new", "2", 1, 0, &stat);
    zoo_delete_op_init(&ops[3], ROOT "/multi/old", 0);
    check_int("multi", zoo_multi(client->zh, 4, ops, results), ZOK);
    for (int index = 0; index < 4; index++) check_int("result", results[index].err, ZOK);
    check_str("created", made, ROOT "/multi/new");
    check_int("version", stat.version, 1);
    get(client, ROOT "/multi/new", text, sizeof text, NULL);
    check_str("set in the same transaction", text, "2");
    zoo_create_op_init(&ops[0], ROOT "/multi/never", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_check_op_init(&ops[1], ROOT "/multi/new", 9);
    zoo_delete_op_init(&ops[2], ROOT "/multi/new", -1);
    check_int("a bad multi", zoo_multi(client->zh, 3, ops, results), ZBADVERSION);
    check_int("before the error", results[0].err, ZOK);
    check_int("the error", results[1].err, ZBADVERSION);
    check_int("after the error", results[2].err, ZRUNTIMEINCONSISTENCY);
    check_int("all or nothing", children(client, ROOT "/multi", names, 2), 1);
    check_str("what is left", names[0], "new");
}

/* The lock recipe: the lowest number holds; each other waits for the one before it. */
static void join_line(struct client *client, const char *line, char *mine) {
    char path[128];
    snprintf(path, sizeof path, "%s/n-", line);
    create(client, path, "", ZOO_EPHEMERAL_SEQUENTIAL, mine);
}

/* Where `mine` stands; 0 holds. When it does not, `before` is the path of the one to wait for. */
static int place_in_line(struct client *client, const char *line, const char *mine, char *before, size_t size) {
    char names[8][64];
    int count = children(client, line, names, 8), place = 0;
    while (place < count && strcmp(names[place], strrchr(mine, '/') + 1) != 0) place++;
    if (place > 0) snprintf(before, size, "%s/%s", line, names[place - 1]);
    return place;
}

static struct events *wait_for_one_before(struct client *client, const char *line, const char *mine) {
    char before[128];
    struct events *events = new_events();
    check_int("second in line", place_in_line(client, line, mine, before, sizeof before), 1);
    check_int("the one before is there", zoo_wexists(client->zh, before, on_event, events, NULL), ZOK);
    return events;
}

static void contended_lock(void) {
    struct client *clients[2] = {connect_client(NULL, NULL), connect_client(NULL, NULL)};
    const char *line = ROOT "/lock";
    char held[128], waiting[128], before[128];
    create(clients[0], line, "", ZOO_PERSISTENT, NULL);
    join_line(clients[0], line, held);
    for (int turn = 0; turn < 8; turn++) {
        struct client *holder = clients[turn % 2], *other = clients[(turn + 1) % 2];
        check_int("holds", place_in_line(holder, line, held, before, sizeof before), 0);
        join_line(other, line, waiting);
        struct events *events = wait_for_one_before(other, line, waiting);
        check_int("waits", event_count(events), 0);
        check_int("release", zoo_delete(holder->zh, held, -1), ZOK);
        expect_event("woken", events, 0, ZOO_DELETED_EVENT, held);
        strcpy(held, waiting);
    }
}

static void leader_seen(struct client *client, const char *line, char *leader) {
    char names[8][64], path[192];
    children(client, line, names, 8);
    snprintf(path, sizeof path, "%s/%s", line, names[0]);
    get(client, path, leader, 8, NULL);
}

static void elected_master(void) {
    struct client *first = connect_client(NULL, NULL), *second = connect_client(NULL, NULL);
    const char *line = ROOT "/election";
    char mine[128], other[128], leader[8];
    create(first, line, "", ZOO_PERSISTENT, NULL);
    create(first, ROOT "/election/n-", "a", ZOO_EPHEMERAL_SEQUENTIAL, mine);
    create(second, ROOT "/election/n-", "b", ZOO_EPHEMERAL_SEQUENTIAL, other);
    leader_seen(first, line, leader);
    check_str("the first sees", leader, "a");
    leader_seen(second, line, leader);
    check_str("the second sees the same", leader, "a");
    struct events *events = wait_for_one_before(second, line, other);
    close_client(first);
    expect_event("the master leaves", events, 0, ZOO_DELETED_EVENT, mine);
    leader_seen(second, line, leader);
    check_str("the other leads", leader, "b");
}

void run_shared(void) {
    step("digest_acl", digest_acl);
    step("transactions", transactions);
    step("contended_lock", contended_lock);
    step("elected_master", elected_master);
}
