package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const shop = root + "/shop"

// host is a web host: it keeps the configuration and the master's name by watches alone.
type host struct {
	client  *client
	mutex   sync.Mutex
	configs []string
	masters []string
	knownAt time.Time
}

func newHost(b *bench) *host {
	made := &host{client: b.client("")}
	go made.follow(shop+"/config", func(data string, version int32) {
		made.configs = append(made.configs, fmt.Sprint(version, " ", data))
	})
	go made.follow(shop+"/master", func(data string, _ int32) {
		made.masters, made.knownAt = append(made.masters, data), time.Now()
	})
	return made
}

// follow reads, tells, and waits for the watch, until the client is closed.
func (h *host) follow(path string, tell func(data string, version int32)) {
	for {
		there, _, events, err := h.client.ExistsW(path)
		if err != nil {
			return
		}
		if there {
			data, stat, changes, err := h.client.GetW(path)
			if err == zk.ErrNoNode {
				continue
			}
			if err != nil {
				return
			}
			h.mutex.Lock()
			tell(string(data), stat.Version)
			h.mutex.Unlock()
			events = changes
		}
		if event := <-events; event.Err != nil {
			return
		}
	}
}

func (h *host) last(list *[]string) string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if len(*list) == 0 {
		return ""
	}
	return (*list)[len(*list)-1]
}

// database tries to create the master's ephemeral, and again each time when it is gone.
type database struct {
	client *client
	name   string
	link   string
	won    chan struct{}
}

func newDatabase(b *bench, name string) *database {
	link := "g-" + name
	made := &database{b.client(link), name, link, make(chan struct{})}
	return made
}

func (d *database) runForMaster() {
	for {
		_, err := d.client.Create(shop+"/master", []byte(d.name), zk.FlagEphemeral, anyone)
		if err == nil {
			close(d.won)
			return
		}
		there, _, events, err := d.client.ExistsW(shop + "/master")
		if err != nil {
			return
		}
		if there {
			if event := <-events; event.Err != nil {
				return
			}
		}
	}
}

func (d *database) isMaster() bool {
	select {
	case <-d.won:
		return true
	default:
		return false
	}
}

func story(b *bench) {
	admin := b.client("")
	admin.create(shop, "", 0)
	admin.create(shop+"/config", "config 0", 0)
	hosts, wanted := []*host{newHost(b), newHost(b), newHost(b)}, []string{}
	for version := int32(0); version <= 5; version++ {
		if version > 0 {
			admin.set(shop+"/config", fmt.Sprint("config ", version), version-1)
		}
		wanted = append(wanted, fmt.Sprint(version, " config ", version))
		for _, one := range hosts {
			waitFor("a host has the change", patience, func() bool { return one.last(&one.configs) == wanted[version] })
		}
	}
	for _, one := range hosts {
		check("every change, once and in order", one.configs, wanted)
	}
	first, second := newDatabase(b, "db-a"), newDatabase(b, "db-b")
	first.runForMaster()
	go second.runForMaster()
	for _, one := range hosts {
		waitFor("the hosts know the master", patience, func() bool { return one.last(&one.masters) == "db-a" })
	}
	check("one master", []bool{first.isMaster(), second.isMaster()}, []bool{true, false})
	masterDies(b, hosts, first, second)
	oldMasterReturns(b, first)
}

func masterDies(b *bench, hosts []*host, first, second *database) {
	began := time.Now()
	b.proxy("freeze", first.link)
	waitFor("the other takes over", session+2*tick+2*time.Second, second.isMaster)
	for _, one := range hosts {
		waitFor("the hosts know the new master", patience, func() bool { return one.last(&one.masters) == "db-b" })
		withinTimeout(one.knownAt.Sub(began))
		check("masters seen", one.masters, []string{"db-a", "db-b"})
	}
}

func oldMasterReturns(b *bench, first *database) {
	check("it must doubt already", first.client.State() != zk.StateHasSession, true)
	b.proxy("heal", first.link)
	waitFor("it is told that its session is gone", patience, func() bool { return first.client.count(zk.StateExpired) == 1 })
	waitFor("it has a new session", patience, func() bool { return first.client.count(zk.StateHasSession) == 2 })
	data, stat, err := first.client.Get(shop + "/master")
	must("get", err)
	check("master by name", string(data), "db-b")
	check("not by its own session", stat.EphemeralOwner == first.client.SessionID(), false)
	_, err = first.client.Create(shop+"/master", []byte(first.name), zk.FlagEphemeral, anyone)
	refused("its claim", err, zk.ErrNodeExists)
}
