package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	sharedNodes = 500
	homes       = 40  // folders for the ephemerals
	ownMost     = 2   // ephemerals, and sequential znodes, that a session has at a time
	names       = 300 // of ephemerals in a home: few enough that the watches on them come to fire
	dataMost    = 2000
	// Each second about one link in so many breaks, or stops reading for a while.
	resetOneIn = 400
	slowOneIn  = 100
)

// tally is what the sessions of a soak count together.
type tally struct {
	operations, failed, events, expired, lost atomic.Int64
}

// soak keeps many sessions busy until standard input ends, then closes them and prints what it counted.
func soak(arguments []string) {
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	servers := flags.String("servers", "", "addresses, separated by commas")
	sessions := flags.Int("sessions", 2000, "sessions")
	p := plan{root: "/soak"}
	flags.Int64Var(&p.seed, "seed", 1, "of all choices")
	flags.DurationVar(&p.timeout, "timeout", 10*time.Second, "of the sessions")
	flags.DurationVar(&p.pause, "pause", 4*time.Second, "most between two operations of a session")
	flags.Parse(arguments)
	p.servers = splitServers(*servers)
	y := &yard{plan: p, tap: newTap(nil), over: make(chan bool)}
	for _, server := range p.servers {
		y.gates, y.doomed = append(y.gates, y.tap.open(server)), append(y.doomed, y.tap.open(server))
	}
	y.furnish()
	counts := &tally{}
	for i := 0; i < *sessions; i++ {
		gates := y.gates
		if i%40 == 0 {
			gates = y.doomed
		}
		y.all.Add(1)
		go func() { defer y.all.Done(); newDweller(y, counts, gates, i).run() }()
	}
	go y.disturb(rand.New(rand.NewSource(p.seed)))
	fmt.Println(`{"begun": true}`)
	io.Copy(io.Discard, os.Stdin)
	close(y.over)
	y.all.Wait()
	line, _ := json.Marshal(map[string]int64{
		"operations": counts.operations.Load(), "failed": counts.failed.Load(), "events": counts.events.Load(),
		"expired": counts.expired.Load(), "lost": counts.lost.Load(),
	})
	fmt.Println(string(line))
}

// furnish makes the znodes that all sessions share.
func (y *yard) furnish() {
	conn := y.connect(y.gates)
	defer conn.Close()
	paths := []string{y.root, y.root + "/own"}
	for i := 0; i < homes; i++ {
		paths = append(paths, home(y.root, i))
	}
	for i := 0; i < sharedNodes; i++ {
		paths = append(paths, shared(y.root, i))
	}
	for _, path := range paths {
		must("create "+path, insist("create", func() error {
			_, err := conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
			if err == zk.ErrNodeExists {
				return nil
			}
			return err
		}))
	}
}

func home(root string, i int) string   { return fmt.Sprintf("%s/h%02d", root, i) }
func shared(root string, i int) string { return fmt.Sprintf("%s/s%03d", root, i) }

// disturb resets some links and slows some down each second; once in a while it cuts the doomed ones off until they expire.
func (y *yard) disturb(random *rand.Rand) {
	for seconds := 1; !y.isOver(); seconds++ {
		time.Sleep(time.Second)
		y.tap.reset(func(*link) bool { return random.Intn(resetOneIn) == 0 })
		y.tap.slow(random, slowOneIn, time.Duration(random.Intn(2000))*time.Millisecond)
		if cycle := int(y.timeout/time.Second) * 4; seconds%cycle == 0 || seconds%cycle == cycle/2 {
			y.shutDoomed(seconds%cycle == 0)
		}
	}
	y.shutDoomed(false)
}

// dweller is one session of a soak, with a znode of its own that counts.
type dweller struct {
	*yard
	counts    *tally
	conn      *zk.Conn
	random    *rand.Rand
	own       string
	mutex     sync.Mutex
	ephemeral []string
	sequence  []string
	// The last number that the server acknowledged for the own znode, and the last one that was tried.
	acknowledged, tried int
}

func newDweller(y *yard, counts *tally, gates []*gate, number int) *dweller {
	d := &dweller{yard: y, counts: counts, random: rand.New(rand.NewSource(y.seed*10000 + int64(number)))}
	d.own = fmt.Sprintf("%s/own/%04d", y.root, number)
	addresses := []string{}
	for _, one := range gates {
		addresses = append(addresses, one.address, one.address)
	}
	conn, _, err := zk.Connect(addresses, y.timeout, zk.WithLogger(quiet{}), zk.WithEventCallback(d.see))
	if err != nil {
		fatal("connect: %v", err)
	}
	d.conn = conn
	return d
}

func (d *dweller) see(event zk.Event) {
	if event.Type != zk.EventSession {
		d.counts.events.Add(1)
		return
	}
	if event.State == zk.StateExpired {
		d.counts.expired.Add(1)
		d.mutex.Lock()
		d.ephemeral = nil
		d.mutex.Unlock()
	}
}

func (d *dweller) run() {
	defer d.conn.Close()
	acts := []func() error{d.count, d.count, d.recount, d.change, d.watchData, d.watchBirth, d.watchHome, d.register, d.register, d.queue}
	for !d.isOver() {
		d.counts.operations.Add(1)
		switch err := acts[d.random.Intn(len(acts))](); err {
		case nil, zk.ErrNoNode, zk.ErrNodeExists:
		default:
			d.counts.failed.Add(1)
		}
		select {
		case <-d.over:
		case <-time.After(time.Duration(d.random.Int63n(int64(d.pause)))):
		}
	}
}

func (d *dweller) data() []byte { return make([]byte, d.random.Intn(dataMost)) }

// count writes the next number to the own znode.
func (d *dweller) count() error {
	d.tried++
	text := []byte(strconv.Itoa(d.tried))
	_, err := d.conn.Set(d.own, text, -1)
	if err == zk.ErrNoNode {
		if d.acknowledged > 0 {
			d.counts.lost.Add(1)
		}
		_, err = d.conn.Create(d.own, text, 0, zk.WorldACL(zk.PermAll))
	}
	if err == nil {
		d.acknowledged = d.tried
	}
	return err
}

// recount reads the own znode: no number that was acknowledged may be gone.
func (d *dweller) recount() error {
	text, _, err := d.conn.Get(d.own)
	if err == zk.ErrNoNode && d.acknowledged > 0 {
		d.counts.lost.Add(1)
	}
	if err != nil {
		return err
	}
	if number, problem := strconv.Atoi(string(text)); problem != nil || number < d.acknowledged || number > d.tried {
		d.counts.lost.Add(1)
	}
	return nil
}

func (d *dweller) change() error {
	_, err := d.conn.Set(shared(d.root, d.random.Intn(sharedNodes)), d.data(), -1)
	return err
}

func (d *dweller) watchData() error {
	_, _, _, err := d.conn.GetW(shared(d.root, d.random.Intn(sharedNodes)))
	return err
}

func (d *dweller) watchBirth() error {
	_, _, _, err := d.conn.ExistsW(d.ephemeralPath())
	return err
}

func (d *dweller) ephemeralPath() string {
	return fmt.Sprintf("%s/e-%03d", home(d.root, d.random.Intn(homes)), d.random.Intn(names))
}

func (d *dweller) watchHome() error {
	_, _, _, err := d.conn.ChildrenW(home(d.root, d.random.Intn(homes)))
	return err
}

// register makes an ephemeral, or takes the oldest one away.
func (d *dweller) register() error {
	d.mutex.Lock()
	oldest := ""
	if len(d.ephemeral) >= ownMost {
		oldest, d.ephemeral = d.ephemeral[0], d.ephemeral[1:]
	}
	d.mutex.Unlock()
	if oldest != "" {
		return d.conn.Delete(oldest, -1)
	}
	made, err := d.conn.Create(d.ephemeralPath(), d.data(), zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	if err == nil {
		d.mutex.Lock()
		d.ephemeral = append(d.ephemeral, made)
		d.mutex.Unlock()
	}
	return err
}

// queue makes an ephemeral sequential znode, or takes the oldest one away.
func (d *dweller) queue() error {
	if len(d.sequence) >= ownMost {
		oldest := d.sequence[0]
		d.sequence = d.sequence[1:]
		return d.conn.Delete(oldest, -1)
	}
	made, err := d.conn.Create(home(d.root, d.random.Intn(homes))+"/q-", d.data(), zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
	if err == nil {
		d.sequence = append(d.sequence, made)
	}
	return err
}
