package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

func createReadExists(b *bench) {
	c := b.client("")
	check("created path", c.create(root, "", 0), root)
	check("created path", c.create(root+"/node", "first", 0), root+"/node")
	data, stat, err := c.Get(root + "/node")
	must("get", err)
	check("data", string(data), "first")
	check("versions", []int32{stat.Version, stat.Cversion, stat.Aversion}, []int32{0, 0, 0})
	check("sizes", []int32{stat.DataLength, stat.NumChildren}, []int32{5, 0})
	check("first and last change", stat.Czxid == stat.Mzxid && stat.Mzxid == stat.Pzxid, true)
	there, same, err := c.Exists(root + "/node")
	must("exists", err)
	check("exists", there, true)
	check("exists is the same stat", same, stat)
	there, _, err = c.Exists(root + "/absent")
	must("exists", err)
	check("an absent node", there, false)
	check("children", c.children(root), []string{"node"})
}

func setDeleteVersions(b *bench) {
	c, path := b.client(""), root+"/versions"
	c.create(path, "0", 0)
	for version := int32(0); version < 3; version++ {
		check("version after set", c.set(path, fmt.Sprint("x", version), version), version+1)
	}
	_, err := c.Set(path, nil, 1)
	refused("set at an old version", err, zk.ErrBadVersion)
	check("version after set at any version", c.set(path, "", -1), int32(4))
	refused("delete at an old version", c.Delete(path, 3), zk.ErrBadVersion)
	must("delete", c.Delete(path, 4))
	_, _, err = c.Get(path)
	refused("read after delete", err, zk.ErrNoNode)
}

func errorCodes(b *bench) {
	c, path := b.client(""), root+"/errors"
	c.create(path, "", 0)
	_, err := c.Create(path, nil, 0, anyone)
	refused("create twice", err, zk.ErrNodeExists)
	_, err = c.Create(path+"/a/b", nil, 0, anyone)
	refused("create under nothing", err, zk.ErrNoNode)
	_, err = c.Set(path+"/a", nil, -1)
	refused("set of nothing", err, zk.ErrNoNode)
	refused("delete of nothing", c.Delete(path+"/a", -1), zk.ErrNoNode)
	_, _, err = c.Children(path + "/a")
	refused("children of nothing", err, zk.ErrNoNode)
	c.create(path+"/short", "", zk.FlagEphemeral)
	_, err = c.Create(path+"/short/a", nil, 0, anyone)
	refused("child of an ephemeral", err, zk.ErrNoChildrenForEphemerals)
	refused("delete with a child", c.Delete(path, -1), zk.ErrNotEmpty)
	_, err = c.Create(path+"/b", nil, 0, []zk.ACL{{Perms: 31, Scheme: "nosuch", ID: "x"}})
	refused("unknown scheme", err, zk.ErrInvalidACL)
	_, err = c.Create(path+"/b", nil, 0, []zk.ACL{})
	refused("empty acl", err, zk.ErrInvalidACL)
}

func sequencesAndOwners(b *bench) {
	c, path := b.client(""), root+"/sequences"
	c.create(path, "", 0)
	check("first number", c.create(path+"/n-", "", zk.FlagSequence), path+"/n-0000000000")
	c.create(path+"/plain", "", 0)
	second := c.create(path+"/n-", "", zk.FlagEphemeralSequential)
	check("a plain child counts", second, path+"/n-0000000002")
	_, stat, err := c.Get(second)
	must("get", err)
	check("owner is the session", stat.EphemeralOwner, c.SessionID())
	made, err := c.CreateContainer(path+"/container", []byte("c"), zk.FlagContainer, anyone)
	must("container", err)
	check("container", made, path+"/container")
	check("child of a container", c.create(path+"/container/a", "", 0), path+"/container/a")
	synced, err := c.Sync(path)
	must("sync", err)
	check("sync", synced, path)
}

func dataWatch(b *bench) {
	watcher, writer, path := b.client(""), b.client(""), root+"/data-watch"
	writer.create(path, "1", 0)
	_, _, first, err := watcher.GetW(path)
	must("get", err)
	writer.set(path, "2", -1)
	expectEvent("after set", first, zk.EventNodeDataChanged, path)
	data, _, second, err := watcher.GetW(path)
	must("get", err)
	check("data after the event", string(data), "2")
	must("delete", writer.Delete(path, -1))
	expectEvent("after delete", second, zk.EventNodeDeleted, path)
}

func childWatch(b *bench) {
	watcher, writer, path := b.client(""), b.client(""), root+"/child-watch"
	writer.create(path, "", 0)
	names, _, events, err := watcher.ChildrenW(path)
	must("children", err)
	check("no children", len(names), 0)
	writer.set(path, "not a child", -1)
	check("the change is seen", watcher.get(path), "not a child")
	noEvent("set is no change of children", events)
	writer.create(path+"/a", "", 0)
	expectEvent("after create of a child", events, zk.EventNodeChildrenChanged, path)
	names, _, events, err = watcher.ChildrenW(path)
	must("children", err)
	check("children", names, []string{"a"})
	must("delete", writer.Delete(path+"/a", -1))
	expectEvent("after delete of a child", events, zk.EventNodeChildrenChanged, path)
	_, _, events, err = watcher.ChildrenW(path)
	must("children", err)
	must("delete", writer.Delete(path, -1))
	expectEvent("after delete of the node", events, zk.EventNodeDeleted, path)
}

func existsWatch(b *bench) {
	watcher, writer, path := b.client(""), b.client(""), root+"/exists-watch"
	there, _, events, err := watcher.ExistsW(path)
	must("exists", err)
	check("absent", there, false)
	writer.create(path, "", 0)
	expectEvent("after create", events, zk.EventNodeCreated, path)
	_, _, events, err = watcher.ExistsW(path)
	must("exists", err)
	writer.set(path, "x", -1)
	expectEvent("after set", events, zk.EventNodeDataChanged, path)
	_, _, events, err = watcher.ExistsW(path)
	must("exists", err)
	must("delete", writer.Delete(path, -1))
	expectEvent("after delete", events, zk.EventNodeDeleted, path)
}

func digestACL(b *bench) {
	path, owner, stranger := root+"/secret", b.client(""), b.client("")
	must("auth", owner.AddAuth("digest", []byte("ann:pass")))
	_, err := owner.Create(path, []byte("mine"), 0, zk.AuthACL(zk.PermAll))
	must("create", err)
	must("auth", stranger.AddAuth("digest", []byte("ann:wrong")))
	_, _, err = stranger.Get(path)
	refused("read", err, zk.ErrNoAuth)
	_, err = stranger.Set(path, nil, -1)
	refused("write", err, zk.ErrNoAuth)
	_, err = stranger.Create(path+"/a", nil, 0, anyone)
	refused("create below", err, zk.ErrNoAuth)
	sum := sha1.Sum([]byte("ann:pass"))
	mine := []zk.ACL{{Perms: zk.PermAll, Scheme: "digest", ID: "ann:" + base64.StdEncoding.EncodeToString(sum[:])}}
	found, _, err := owner.GetACL(path)
	must("acl", err)
	check("stored acl", found, mine)
	both := append(mine, zk.ACL{Perms: zk.PermRead, Scheme: "world", ID: "anyone"})
	_, err = owner.SetACL(path, both, 7)
	refused("acl at an old version", err, zk.ErrBadVersion)
	stat, err := owner.SetACL(path, both, 0)
	must("set acl", err)
	check("acl version", stat.Aversion, int32(1))
	check("read by anyone", stranger.get(path), "mine")
	_, err = stranger.Set(path, nil, -1)
	refused("write by anyone", err, zk.ErrNoAuth)
	must("auth", stranger.AddAuth("digest", []byte("ann:pass")))
	check("write after auth", stranger.set(path, "", -1), int32(1))
}

func transactions(b *bench) {
	c, path := b.client(""), root+"/multi"
	c.create(path, "", 0)
	c.create(path+"/old", "0", 0)
	results, err := c.Multi(
		&zk.CheckVersionRequest{Path: path + "/old", Version: 0},
		&zk.CreateRequest{Path: path + "/new", Data: []byte("1"), Acl: anyone},
		&zk.SetDataRequest{Path: path + "/new", Data: []byte("2"), Version: 0},
		&zk.DeleteRequest{Path: path + "/old", Version: 0},
	)
	must("multi", err)
	check("results", len(results), 4)
	check("created", results[1].String, path+"/new")
	check("version", results[2].Stat.Version, int32(1))
	check("set in the same transaction", c.get(path+"/new"), "2")
	results, err = c.Multi(
		&zk.CreateRequest{Path: path + "/never", Acl: anyone},
		&zk.CheckVersionRequest{Path: path + "/new", Version: 9},
		&zk.DeleteRequest{Path: path + "/new", Version: -1},
	)
	refused("the whole", err, zk.ErrBadVersion)
	check("error of the check", results[1].Error, zk.ErrBadVersion)
	check("the one before was fine", results[0].Error, nil)
	check("all or nothing", c.children(path), []string{"new"})
}

func largeAndMany(b *bench) {
	c, path := b.client(""), root+"/large"
	large := bytes.Repeat([]byte("0123456789"), 100_000)
	_, err := c.Create(path, large, 0, anyone)
	must("create", err)
	check("large data", c.get(path) == string(large), true)
	var group sync.WaitGroup
	var errors atomic.Int32
	for worker := 0; worker < 50; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for number := 0; number < 20; number++ {
				if _, err := c.Create(path+"/n-", nil, zk.FlagEphemeralSequential, anyone); err != nil {
					errors.Add(1)
				}
			}
		}()
	}
	group.Wait()
	check("errors", errors.Load(), int32(0))
	names := c.children(path)
	check("children", len(names), 1000)
	check("no number left out", names[999], "n-0000000999")
}

func contendedLock(b *bench) {
	path, clients := root+"/lock", []*client{b.client(""), b.client("")}
	var inside, together, turns atomic.Int32
	var group sync.WaitGroup
	for _, one := range clients {
		group.Add(1)
		go func(one *client) {
			defer group.Done()
			lock := zk.NewLock(one.Conn, path, anyone)
			for turn := 0; turn < 5; turn++ {
				if lock.Lock() != nil {
					return
				}
				if inside.Add(1) != 1 {
					together.Add(1)
				}
				turns.Add(1)
				inside.Add(-1)
				if lock.Unlock() != nil {
					return
				}
			}
		}(one)
	}
	group.Wait()
	check("turns", turns.Load(), int32(10))
	check("two at once inside", together.Load(), int32(0))
	first, second := zk.NewLock(clients[0].Conn, path, anyone), zk.NewLock(clients[1].Conn, path, anyone)
	must("lock", first.Lock())
	got := make(chan error, 1)
	go func() { got <- second.Lock() }()
	waitFor("both stand in line", patience, func() bool { return len(clients[0].children(path)) == 2 })
	check("the second waits", len(got), 0)
	must("unlock", first.Unlock())
	must("the second gets it", <-got)
}

func electedMaster(b *bench) {
	path := root + "/election"
	admin, first, second := b.client(""), b.client(""), b.client("")
	admin.create(path, "", 0)
	mine := first.create(path+"/n-", "a", zk.FlagEphemeralSequential)
	second.create(path+"/n-", "b", zk.FlagEphemeralSequential)
	leader := func(c *client) string { return c.get(path + "/" + c.children(path)[0]) }
	check("both see one master", []string{leader(first), leader(second)}, []string{"a", "a"})
	_, _, events, err := second.ExistsW(mine)
	must("watch the one before", err)
	first.Close()
	expectEvent("the master leaves", events, zk.EventNodeDeleted, mine)
	check("the other leads", leader(second), "b")
}

func closeIsAtOnce(b *bench) {
	c, other, path := b.client(""), b.client(""), root+"/closing"
	c.create(path, "", zk.FlagEphemeral)
	there, _, events, err := other.ExistsW(path)
	must("exists", err)
	check("there", there, true)
	c.Close()
	var event zk.Event
	waitFor("the ephemeral goes before its session could time out", session/2, func() bool {
		select {
		case event = <-events:
			return true
		default:
			return false
		}
	})
	check("event", strings.Join([]string{event.Type.String(), event.Path}, " "), "EventNodeDeleted "+path)
}
