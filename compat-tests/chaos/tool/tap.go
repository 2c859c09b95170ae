package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand"
	"net"
	"sync"
	"time"
)

// How long a client's new link waits for a server that is being restarted before it is closed.
const dialSeconds = 2

// Tap stands between clients and servers. It writes every frame to a history (when it has one) and breaks links on demand.
type Tap struct {
	recorder *Recorder
	mutex    sync.Mutex
	links    map[int]*link
	made     int
}

// gate is a listening port of a tap in front of one server.
type gate struct {
	tap     *Tap
	server  string
	address string
	mutex   sync.Mutex
	isShut  bool
}

type link struct {
	tap            *Tap
	gate           *gate
	number         int
	client, server net.Conn
	mutex          sync.Mutex
	isGreeted      bool
	waiting        []Record // requests without reply, in order
	stall          time.Duration
}

func newTap(recorder *Recorder) *Tap {
	return &Tap{recorder: recorder, links: map[int]*link{}}
}

func (t *Tap) record(record Record) {
	if t.recorder != nil {
		t.recorder.add(record)
	}
}

// open makes a gate on a free port of the loopback address.
func (t *Tap) open(server string) *gate {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal("tap: %v", err)
	}
	made := &gate{tap: t, server: server, address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				fatal("tap: %v", err)
			}
			go made.serve(client)
		}
	}()
	return made
}

func (g *gate) shut(isShut bool) {
	g.mutex.Lock()
	g.isShut = isShut
	g.mutex.Unlock()
	if isShut {
		g.tap.reset(func(l *link) bool { return l.gate == g })
	}
}

func (g *gate) refuses() bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.isShut
}

func (g *gate) serve(client net.Conn) {
	defer client.Close()
	var server net.Conn
	for deadline := time.Now().Add(dialSeconds * time.Second); server == nil; time.Sleep(5 * time.Millisecond) {
		if g.refuses() || time.Now().After(deadline) {
			return
		}
		server, _ = net.DialTimeout("tcp", g.server, time.Second)
	}
	defer server.Close()
	made := g.tap.link(g, client, server)
	ended := make(chan bool, 2)
	go func() { made.pump(client, server, made.seeRequest); ended <- true }()
	go func() { made.pump(server, client, made.seeReply); ended <- true }()
	<-ended
	client.Close()
	server.Close()
	<-ended
	g.tap.forget(made)
}

func (t *Tap) link(g *gate, client, server net.Conn) *link {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.made++
	made := &link{tap: t, gate: g, number: t.made, client: client, server: server}
	t.links[made.number] = made
	return made
}

func (t *Tap) forget(l *link) {
	t.mutex.Lock()
	delete(t.links, l.number)
	t.mutex.Unlock()
	t.record(Record{Kind: kindClose, Link: l.number})
}

// pick gives the links that `chosen` accepts.
func (t *Tap) pick(chosen func(*link) bool) []*link {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	var picked []*link
	for _, l := range t.links {
		if chosen(l) {
			picked = append(picked, l)
		}
	}
	return picked
}

// reset breaks the chosen links with an RST in both directions.
func (t *Tap) reset(chosen func(*link) bool) {
	for _, l := range t.pick(chosen) {
		for _, end := range []net.Conn{l.client, l.server} {
			if tcp, ok := end.(*net.TCPConn); ok {
				tcp.SetLinger(0)
			}
			end.Close()
		}
	}
}

// slow makes about one in `oneIn` links read nothing from the server for a while.
func (t *Tap) slow(random *rand.Rand, oneIn int, duration time.Duration) {
	for _, l := range t.pick(func(*link) bool { return random.Intn(oneIn) == 0 }) {
		l.mutex.Lock()
		l.stall = duration
		l.mutex.Unlock()
	}
}

func (l *link) pause() {
	l.mutex.Lock()
	stall := l.stall
	l.stall = 0
	l.mutex.Unlock()
	time.Sleep(stall)
}

// pump copies frame after frame until an end breaks. `see` learns of each frame before it is passed on.
func (l *link) pump(from io.Reader, to io.Writer, see func([]byte)) {
	source, target := bufio.NewReaderSize(from, 1<<14), bufio.NewWriterSize(to, 1<<14)
	head := make([]byte, 4)
	for {
		if _, err := io.ReadFull(source, head); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(head)
		if size > frameBytesMax {
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(source, frame); err != nil {
			return
		}
		see(frame)
		target.Write(head)
		target.Write(frame)
		if source.Buffered() == 0 && target.Flush() != nil {
			return
		}
	}
}

func (l *link) seeRequest(frame []byte) {
	if l.tap.recorder == nil {
		return
	}
	r := &reader{rest: frame}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.isGreeted {
		l.isGreeted = true
		r.int32()
		l.tap.record(Record{Kind: kindConnect, Link: l.number, Server: l.gate.server, Zxid: r.int64(), Timeout: r.int32(), Session: r.int64()})
		l.waiting = append(l.waiting, Record{Kind: kindConnect})
		return
	}
	xid, code := r.int32(), r.int32()
	op := decodeOp(r, code)
	record := Record{Kind: kindRequest, Link: l.number, Xid: xid, Op: &op}
	if r.err != nil {
		record.Text = r.err.Error()
	}
	l.waiting = append(l.waiting, record)
	l.tap.record(record)
}

func (l *link) seeReply(frame []byte) {
	l.pause()
	if l.tap.recorder == nil {
		return
	}
	r := &reader{rest: frame}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.waiting) > 0 && l.waiting[0].Kind == kindConnect {
		l.waiting = l.waiting[1:]
		r.int32()
		l.tap.record(Record{Kind: kindSession, Link: l.number, Timeout: r.int32(), Session: r.int64()})
		return
	}
	record := Record{Kind: kindReply, Link: l.number, Xid: r.int32(), Zxid: r.int64(), Err: r.int32()}
	if record.Xid == eventXid {
		record.Kind, record.Type = kindEvent, r.int32()
		r.int32()
		record.Path = r.text()
	} else if name := l.answered(record.Xid); record.Err == 0 {
		record.Result = decodeResult(r, name)
	}
	if r.err != nil {
		record.Text = r.err.Error()
	}
	l.tap.record(record)
}

// answered takes the first request with this xid from the waiting ones and gives its name.
func (l *link) answered(xid int32) string {
	for i, request := range l.waiting {
		if request.Xid == xid && request.Kind == kindRequest {
			l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
			return request.Op.Name
		}
	}
	return ""
}
