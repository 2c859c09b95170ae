/* Steps on sessions: a broken connection, watches after it, expiry. */
#include "harness.h"

#include <string.h>

static void same_session_after_loss(void) {
    struct client *client = connect_client("c-loss", NULL), *other = connect_client(NULL, NULL);
    const char *path = ROOT "/after-loss";
    int64_t session = session_of(client);
    struct Stat stat;
    char text[8];
    create(client, path, "", ZOO_EPHEMERAL, NULL);
    for (int turn = 2; turn <= 4; turn++) {
        proxy("drop", "c-loss");
        WAIT("back", client->connected == turn);
        check_int("session", session_of(client), session);
    }
    get(other, path, text, sizeof text, &stat);
    check_int("the ephemeral is still there", stat.ephemeralOwner, session);
    check_int("never expired", client->expired, 0);
    check_int("requests go on", set(client, path, "on", 0), 1);
}

static void watches_after_loss(void) {
    struct client *client = connect_client("c-watch", NULL), *other = connect_client(NULL, NULL);
    static const char *const names[] = {ROOT "/watches", ROOT "/watches/changed", ROOT "/watches/gone", ROOT "/watches/parent",
                                        ROOT "/watches/quiet"};
    struct events *changed = new_events(), *gone = new_events(), *born = new_events(), *parent = new_events(), *quiet = new_events();
    struct events *all[] = {changed, gone, born, parent, quiet};
    struct String_vector found;
    for (int index = 0; index < 5; index++) create(other, names[index], "1", ZOO_PERSISTENT, NULL);
    check_int("watch", zoo_wexists(client->zh, names[1], on_event, changed, NULL), ZOK);
    check_int("watch", zoo_wexists(client->zh, names[2], on_event, gone, NULL), ZOK);
    check_int("watch", zoo_wexists(client->zh, ROOT "/watches/born", on_event, born, NULL), ZNONODE);
    check_int("watch", zoo_wget_children(client->zh, names[3], on_event, parent, &found), ZOK);
    deallocate_String_vector(&found);
    check_int("watch", zoo_wexists(client->zh, names[4], on_event, quiet, NULL), ZOK);
    proxy("cut", "c-watch");
    WAIT("lost", client->connecting > 0);
    set(other, names[1], "2", -1);
    check_int("delete", zoo_delete(other->zh, names[2], -1), ZOK);
    create(other, ROOT "/watches/born", "", ZOO_PERSISTENT, NULL);
    create(other, ROOT "/watches/parent/child", "", ZOO_PERSISTENT, NULL);
    for (int index = 0; index < 5; index++) check_int("nothing comes over a cut link", event_count(all[index]), 0);
    proxy("heal", "c-watch");
    expect_event("changed meanwhile", changed, 0, ZOO_CHANGED_EVENT, names[1]);
    expect_event("deleted meanwhile", gone, 0, ZOO_DELETED_EVENT, names[2]);
    expect_event("created meanwhile", born, 0, ZOO_CREATED_EVENT, ROOT "/watches/born");
    expect_event("child born meanwhile", parent, 0, ZOO_CHILD_EVENT, names[3]);
    check_int("same connection count", client->connected, 2);
    check_int("nothing happened to this one", event_count(quiet), 0);
    set(other, names[4], "2", -1);
    expect_event("but its watch is still set", quiet, 0, ZOO_CHANGED_EVENT, names[4]);
    for (int index = 0; index < 5; index++) check_int("each fires once", event_count(all[index]), 1);
}

static void expired_when_cut_long(void) {
    struct client *client = connect_client("c-expire", NULL), *other = connect_client(NULL, NULL);
    const char *path = ROOT "/expired";
    struct events *events = new_events();
    int64_t session = session_of(client);
    create(client, path, "", ZOO_EPHEMERAL, NULL);
    check_int("there", zoo_wexists(other->zh, path, on_event, events, NULL), ZOK);
    long began = now_ms();
    proxy("freeze", "c-expire");
    expect_event("the ephemeral goes", events, 0, ZOO_DELETED_EVENT, path);
    check_within_timeout("expiry", now_ms() - began);
    check_int("not told yet", client->expired, 0);
    proxy("heal", "c-expire");
    WAIT("told for certain", client->expired == 1);
    check_int("state", zoo_state(client->zh), ZOO_EXPIRED_SESSION_STATE);
    check_int("a write in the old session", zoo_set(client->zh, ROOT, "", 0, -1), ZINVALIDSTATE);
    struct client *fresh = connect_client("c-expire", NULL);
    check_int("another session", session_of(fresh) != session, 1);
    check_int("it sees the ephemeral gone", zoo_exists(fresh->zh, path, 0, NULL), ZNONODE);
}

void run_sessions(void) {
    step("same_session_after_loss", same_session_after_loss);
    step("watches_after_loss", watches_after_loss);
    step("expired_when_cut_long", expired_when_cut_long);
}
