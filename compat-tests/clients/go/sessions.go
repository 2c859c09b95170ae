package main

import (
	"time"

	"github.com/go-zookeeper/zk"
)

func sameSessionAfterLoss(b *bench) {
	path := root + "/after-loss"
	c, other := b.client("g-loss"), b.client("")
	id := c.SessionID()
	must("auth", c.AddAuth("digest", []byte("ann:pass")))
	c.create(path, "", zk.FlagEphemeral)
	_, err := other.Create(path+"-secret", []byte("s"), 0, zk.DigestACL(zk.PermAll, "ann", "pass"))
	must("create", err)
	for turn := 2; turn <= 4; turn++ {
		b.proxy("drop", "g-loss")
		waitFor("back", patience, func() bool { return c.count(zk.StateHasSession) == turn })
		check("session", c.SessionID(), id)
	}
	_, stat, err := other.Get(path)
	must("get", err)
	check("the ephemeral is still there", stat.EphemeralOwner, id)
	check("never expired", c.count(zk.StateExpired), 0)
	waitFor("requests go on", patience, func() bool { _, err := c.Set(path, nil, -1); return err == nil })
	check("auth is given again", c.get(path+"-secret"), "s")
}

func watchesAfterLoss(b *bench) {
	path := root + "/watches-after-loss"
	c, other := b.client("g-watch"), b.client("")
	other.create(path, "", 0)
	for _, name := range []string{"changed", "gone", "parent", "quiet"} {
		other.create(path+"/"+name, "1", 0)
	}
	_, _, changed, err := c.GetW(path + "/changed")
	must("get", err)
	_, _, gone, err := c.GetW(path + "/gone")
	must("get", err)
	_, _, born, err := c.ExistsW(path + "/born")
	must("exists", err)
	_, _, parent, err := c.ChildrenW(path + "/parent")
	must("children", err)
	_, _, quietly, err := c.GetW(path + "/quiet")
	must("get", err)
	b.proxy("cut", "g-watch")
	waitFor("lost", patience, func() bool { return c.count(zk.StateDisconnected) > 0 })
	other.set(path+"/changed", "2", -1)
	must("delete", other.Delete(path+"/gone", -1))
	other.create(path+"/born", "", 0)
	other.create(path+"/parent/child", "", 0)
	for _, events := range []<-chan zk.Event{changed, gone, born, parent, quietly} {
		noEvent("nothing comes over a cut link", events)
	}
	b.proxy("heal", "g-watch")
	expectEvent("changed meanwhile", changed, zk.EventNodeDataChanged, path+"/changed")
	expectEvent("deleted meanwhile", gone, zk.EventNodeDeleted, path+"/gone")
	expectEvent("created meanwhile", born, zk.EventNodeCreated, path+"/born")
	expectEvent("child born meanwhile", parent, zk.EventNodeChildrenChanged, path+"/parent")
	noEvent("nothing happened to this one", quietly)
	other.set(path+"/quiet", "2", -1)
	expectEvent("but its watch is still set", quietly, zk.EventNodeDataChanged, path+"/quiet")
}

func expiredWhenCutLong(b *bench) {
	path := root + "/expired"
	c, other := b.client("g-expire"), b.client("")
	id := c.SessionID()
	c.create(path, "", zk.FlagEphemeral)
	there, _, events, err := other.ExistsW(path)
	must("exists", err)
	check("there", there, true)
	_, _, mine, err := c.GetW(path)
	must("get", err)
	began := time.Now()
	b.proxy("freeze", "g-expire")
	expectEvent("the ephemeral goes", events, zk.EventNodeDeleted, path)
	withinTimeout(time.Since(began))
	b.proxy("heal", "g-expire")
	waitFor("told for certain", patience, func() bool { return c.count(zk.StateExpired) == 1 })
	waitFor("a new session", patience, func() bool { return c.count(zk.StateHasSession) == 2 })
	check("another session", c.SessionID() != id, true)
	select {
	case event := <-mine:
		check("the old watch is ended", event.Err, zk.ErrSessionExpired)
	case <-time.After(patience):
		fail("the old watch is not ended")
	}
	there, _, err = c.Exists(path)
	must("exists", err)
	check("the new session works and sees it gone", there, false)
}

// withinTimeout: the server counts in whole ticks from the last ping, which came at most a third of the
// timeout before the freeze; one second is for a busy machine.
func withinTimeout(lasted time.Duration) {
	if lasted < session/2 || lasted > session+2*tick+time.Second {
		fail("took %v with a session timeout of %v", lasted, session)
	}
}
