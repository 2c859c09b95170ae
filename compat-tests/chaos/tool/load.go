package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// plan is what the command line of `load` says.
type plan struct {
	servers  []string
	root     string
	families int
	seed     int64
	timeout  time.Duration
	pause    time.Duration // most time that a worker waits between two operations
}

// yard is a running load: the gates, and the clients behind them.
type yard struct {
	plan
	tap    *Tap
	gates  []*gate
	doomed []*gate // what is behind these gets cut off for longer than its session lives
	over   chan bool
	all    sync.WaitGroup
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func load(arguments []string) {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	servers := flags.String("servers", "", "addresses, separated by commas")
	history := flags.String("history", "history.jsonl", "file to write")
	p := plan{}
	flags.StringVar(&p.root, "root", "/chaos", "znode of this run, made by it")
	flags.IntVar(&p.families, "families", 8, "groups of znodes")
	flags.Int64Var(&p.seed, "seed", 1, "of all choices")
	flags.DurationVar(&p.timeout, "timeout", 4*time.Second, "of the sessions")
	flags.DurationVar(&p.pause, "pause", 8*time.Millisecond, "most between two operations of a worker")
	sessions := flags.Int("sessions", 12, "sessions of two workers each")
	lost := flags.Int("lost", 3, "sessions of one worker each that expire now and then")
	visitors := flags.Int("visitors", 3, "workers that open a session for a few operations, again and again")
	flags.Parse(arguments)
	p.servers = splitServers(*servers)
	recorder, err := newRecorder(*history)
	if err != nil {
		fatal("%v", err)
	}
	y := &yard{plan: p, tap: newTap(recorder), over: make(chan bool)}
	for _, server := range p.servers {
		y.gates, y.doomed = append(y.gates, y.tap.open(server)), append(y.doomed, y.tap.open(server))
	}
	y.prepare()
	for i := 0; i < *sessions; i++ {
		y.start(y.gates, int64(i), 2)
	}
	for i := 0; i < *lost; i++ {
		y.start(y.doomed, int64(*sessions+i), 1)
	}
	for i := 0; i < *visitors; i++ {
		y.visit(int64(*sessions + *lost + i))
	}
	go y.breakLinks(rand.New(rand.NewSource(p.seed + 1000)))
	y.obey()
	recorder.close()
}

// obey prints where other clients may come in, and writes the lines of standard input down as notes until it ends.
func (y *yard) obey() {
	addresses := []string{}
	for _, open := range y.gates {
		addresses = append(addresses, open.address)
	}
	line, _ := json.Marshal(map[string]any{"gates": addresses})
	fmt.Println(string(line))
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		y.tap.record(Record{Kind: kindNote, Text: input.Text()})
	}
	close(y.over)
	y.all.Wait()
	y.settle()
}

func (y *yard) connect(gates []*gate) *zk.Conn {
	var addresses []string
	for _, one := range gates {
		// Twice, because the client waits a second whenever it has tried the last of its addresses.
		addresses = append(addresses, one.address, one.address)
	}
	conn, _, err := zk.Connect(addresses, y.timeout, zk.WithLogger(quiet{}))
	if err != nil {
		fatal("connect: %v", err)
	}
	return conn
}

// insist repeats until the server answers or says no.
func insist(what string, do func() error) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := do()
		switch err {
		case zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrSessionExpired, zk.ErrClosing:
			if time.Now().After(deadline) {
				fatal("%s: %v for a minute", what, err)
			}
		default:
			return err
		}
	}
}

func (y *yard) prepare() {
	conn := y.connect(y.gates)
	defer conn.Close()
	paths := []string{y.root}
	for i := 0; i < y.families; i++ {
		paths = append(paths, y.family(i))
	}
	for _, path := range paths {
		err := insist("create "+path, func() error {
			_, err := conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
			return err
		})
		if err != nil && err != zk.ErrNodeExists {
			fatal("create %s: %v", path, err)
		}
	}
}

func (y *yard) family(i int) string { return fmt.Sprintf("%s/f%02d", y.root, i) }

func (y *yard) start(gates []*gate, number int64, workers int) {
	conn := y.connect(gates)
	var mine sync.WaitGroup
	for i := 0; i < workers; i++ {
		w := y.worker(conn, number, int64(i))
		mine.Add(1)
		go func() { defer mine.Done(); w.run() }()
	}
	y.all.Add(1)
	go func() { defer y.all.Done(); mine.Wait(); conn.Close() }()
}

// visit keeps opening sessions, so that a kill meets some that are younger than the newest snapshot.
func (y *yard) visit(number int64) {
	w := y.worker(nil, number, 0)
	y.all.Add(1)
	go func() {
		defer y.all.Done()
		for !y.isOver() {
			w.conn = y.connect(y.gates)
			w.create(w.yard.family(w.random.Intn(w.families)))
			for count := w.random.Intn(40); count > 0 && !y.isOver(); count-- {
				w.act()
			}
			w.conn.Close()
			w.made = nil
		}
	}()
}

func (y *yard) worker(conn *zk.Conn, number, i int64) *worker {
	random := rand.New(rand.NewSource(y.seed*1000 + number*10 + i))
	return &worker{yard: y, conn: conn, random: random, name: fmt.Sprintf("g%d.%d", number, i), versions: map[string]int32{}}
}

// breakLinks resets links, slows some down, and cuts the doomed ones off for longer than their sessions live.
func (y *yard) breakLinks(random *rand.Rand) {
	cut := time.Time{}
	for !y.isOver() {
		time.Sleep(time.Duration(random.Intn(200)) * time.Millisecond)
		switch random.Intn(4) {
		case 0:
			y.tap.reset(func(*link) bool { return random.Intn(12) == 0 })
		case 1:
			y.tap.slow(random, 12, time.Duration(random.Intn(300))*time.Millisecond)
		case 2:
			if time.Now().After(cut) {
				cut = time.Now().Add(2 * y.timeout)
				y.shutDoomed(true)
				time.AfterFunc(y.timeout*3/2, func() { y.shutDoomed(false) })
			}
		}
	}
}

func (y *yard) shutDoomed(isShut bool) {
	for _, one := range y.doomed {
		one.shut(isShut)
	}
}

func (y *yard) isOver() bool {
	select {
	case <-y.over:
		return true
	default:
		return false
	}
}

// settle waits until no session's ephemerals are left, at most as long as sessions may live, and reads everything once more.
func (y *yard) settle() {
	conn := y.connect(y.gates)
	defer conn.Close()
	// A session expires up to one tick, at most half its timeout, after its timeout.
	for deadline := time.Now().Add(y.timeout*3/2 + time.Second); ; time.Sleep(100 * time.Millisecond) {
		if y.readAll(conn) == 0 || time.Now().After(deadline) {
			break
		}
	}
	y.tap.record(Record{Kind: kindNote, Text: noteSettled})
	// Whoever answers the reads after this write has seen all that was before it.
	must("mark", insist("mark", func() error { _, err := conn.Set(y.root, nil, -1); return err }))
	y.readAll(conn)
}

// readAll reads every znode and gives the number of ephemerals.
func (y *yard) readAll(conn *zk.Conn) int {
	ephemerals := 0
	for i := 0; i < y.families; i++ {
		var names []string
		must("children", insist("children", func() (err error) { names, _, err = conn.Children(y.family(i)); return err }))
		for _, name := range names {
			var stat *zk.Stat
			err := insist("get", func() (err error) { _, stat, err = conn.Get(y.family(i) + "/" + name); return err })
			if err == zk.ErrNoNode {
				continue
			}
			must("get", err)
			if stat.EphemeralOwner != 0 {
				ephemerals++
			}
		}
	}
	return ephemerals
}

func must(what string, err error) {
	if err != nil {
		fatal("%s: %v", what, err)
	}
}
