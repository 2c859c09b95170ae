package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	// The server under test ticks every half second, so that it grants this timeout as it is.
	session = 3 * time.Second
	tick    = 500 * time.Millisecond
	// How long anything may take that is not bound to a session's timeout.
	patience = 15 * time.Second
	root     = "/go"
)

var anyone = zk.WorldACL(zk.PermAll)

// failure is what a step panics with; step turns it into a FAILED line.
type failure string

func fail(format string, arguments ...any) {
	panic(failure(fmt.Sprintf(format, arguments...)))
}

func check(what string, found, wanted any) {
	if !reflect.DeepEqual(found, wanted) {
		fail("%s: found %v, expected %v", what, found, wanted)
	}
}

func must(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

// refused wants exactly this error.
func refused(what string, err, wanted error) {
	if err != wanted {
		fail("%s: error %v, expected %v", what, err, wanted)
	}
}

func waitFor(what string, limit time.Duration, condition func() bool) {
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			fail("%s: not within %v", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// expectEvent waits for the one event that a watch channel delivers.
func expectEvent(what string, events <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case event := <-events:
		check(what, fmt.Sprint(event.Type, " ", event.Path), fmt.Sprint(kind, " ", path))
	case <-time.After(patience):
		fail("%s: no event within %v", what, patience)
	}
}

func noEvent(what string, events <-chan zk.Event) {
	select {
	case event := <-events:
		fail("%s: unexpected event %v", what, event)
	default:
	}
}

// client is a connection with the states it went through.
type client struct {
	*zk.Conn
	mutex  sync.Mutex
	states []zk.State
}

func (c *client) record(event zk.Event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if event.Type == zk.EventSession {
		c.states = append(c.states, event.State)
	}
}

// count tells how often the client was in a state since its start.
func (c *client) count(state zk.State) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	count := 0
	for _, seen := range c.states {
		if seen == state {
			count++
		}
	}
	return count
}

func (c *client) create(path, data string, flags int32) string {
	made, err := c.Create(path, []byte(data), flags, anyone)
	must("create "+path, err)
	return made
}

func (c *client) set(path, data string, version int32) int32 {
	stat, err := c.Set(path, []byte(data), version)
	must("set "+path, err)
	return stat.Version
}

func (c *client) get(path string) string {
	data, _, err := c.Get(path)
	must("get "+path, err)
	return string(data)
}

func (c *client) children(path string) []string {
	names, _, err := c.Children(path)
	must("children of "+path, err)
	sort.Strings(names)
	return names
}

// bench holds the address under test, the proxy's control line, and every client made.
type bench struct {
	address string
	control net.Conn
	answers *bufio.Reader
	clients []*client
	failed  int
}

func newBench(address, control string) *bench {
	link, err := net.Dial("tcp", control)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return &bench{address: address, control: link, answers: bufio.NewReader(link)}
}

func (b *bench) proxy(command, name string) string {
	_, err := fmt.Fprintf(b.control, "%s %s\n", command, name)
	must("proxy", err)
	answer, err := b.answers.ReadString('\n')
	must("proxy", err)
	if strings.HasPrefix(answer, "error") {
		fail("proxy %s %s: %s", command, name, answer)
	}
	return strings.TrimSpace(answer)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// client connects directly (link "") or over a link of the proxy, and waits for its session.
func (b *bench) client(link string) *client {
	address := b.address
	if link != "" {
		address = b.proxy("open", link)
	}
	made := &client{}
	conn, _, err := zk.Connect([]string{address}, session, zk.WithEventCallback(made.record), zk.WithLogger(quiet{}))
	must("connect", err)
	made.Conn = conn
	b.clients = append(b.clients, made)
	waitFor("a session", patience, func() bool { return made.count(zk.StateHasSession) == 1 })
	return made
}

func (b *bench) step(name string, function func(*bench)) {
	defer func() {
		if raised := recover(); raised != nil {
			b.failed++
			fmt.Printf("FAILED %s: %v\n", name, raised)
		} else {
			fmt.Printf("ok %s\n", name)
		}
		for _, made := range b.clients {
			made.Close()
		}
		b.clients = nil
	}()
	function(b)
}
