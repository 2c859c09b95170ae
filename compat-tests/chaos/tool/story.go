package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Forever is the time of the answer that never came.
const forever = math.MaxInt64

// Violation is something that a correct server cannot have done.
type Violation struct {
	Rule string
	Text string
}

// operation is a request with its reply; without one its effect may come at any later time or never.
type operation struct {
	*Op
	link   *connection
	xid    int32
	call   int64
	reply  *Record // nil: unknown
	asked  int     // place of the request in the history
	result *Result
}

func (o *operation) session() int64 { return o.link.session }
func (o *operation) returned() int64 {
	if o.reply == nil {
		return forever
	}
	return o.reply.At
}

func (o *operation) String() string {
	answer := "no answer"
	if o.reply != nil {
		answer = fmt.Sprintf("zxid 0x%x err %d at %.6f s", o.reply.Zxid, o.reply.Err, seconds(o.reply.At))
		if o.result != nil {
			answer += " " + brief(*o.result)
		}
	}
	return fmt.Sprintf("session 0x%x link %d xid %d %s at %.6f s: %s", o.session(), o.link.number, o.xid, describe(*o.Op), seconds(o.call), answer)
}

func seconds(at int64) float64 { return float64(at) / 1e9 }

func describe(op Op) string {
	if op.Name == "multi" {
		parts := make([]string, len(op.Ops))
		for i, sub := range op.Ops {
			parts[i] = describe(sub)
		}
		return "multi[" + strings.Join(parts, ", ") + "]"
	}
	text := op.Name + " " + op.Path
	if op.Data != "" {
		text += " data " + op.Data
	}
	if op.Name == "setData" || op.Name == "delete" || op.Name == "check" {
		text += fmt.Sprintf(" version %d", op.Version)
	}
	if strings.HasPrefix(op.Name, "create") {
		text += fmt.Sprintf(" flags %d", op.Flags)
	}
	if op.Watch {
		text += " watch"
	}
	return text
}

func brief(result Result) string {
	text := ""
	if result.Err != 0 {
		text += fmt.Sprintf("err %d ", result.Err)
	}
	if result.Path != "" {
		text += result.Path + " "
	}
	if result.Data != "" {
		text += "data " + result.Data + " "
	}
	if result.Names != nil {
		text += fmt.Sprintf("%v ", result.Names)
	}
	if result.Stat != nil {
		text += fmt.Sprintf("%+v ", *result.Stat)
	}
	for _, sub := range result.Results {
		text += "(" + brief(sub) + ")"
	}
	return strings.TrimSpace(text)
}

// connection is one link through the tap, with its replies and events in order.
type connection struct {
	number    int
	asked     int64 // the session that the client wants to resume, 0 for a new one
	askedAt   int64
	askedIn   int   // place of the handshake in the history
	seen      int64 // the zxid that the client had seen by then
	server    string
	session   int64 // 0 until the server said yes
	timeout   int64 // nanoseconds
	requests  []*operation
	arrivals  []arrival
	unmatched int // requests[:unmatched] have their reply
}

// arrival is a reply (operation set) or an event.
type arrival struct {
	*Record
	place     int
	operation *operation
}

// attempt is the server's answer to a handshake.
type attempt struct {
	link    *connection
	at      int64
	refused bool
}

// session is what a history tells about one session.
type session struct {
	id       int64
	attempts []attempt
	// When the server is known to have heard of it last, and the timeout that counts from then.
	heard, timeout int64
	closes         []*operation
}

// javas are the Java servers of an ensemble, which promise less than ours.
type javas struct {
	// Servers whose syncs promise nothing: a Java leader answers its own clients before it has applied what a follower has.
	java []string
	// Java servers that were stopped, and for how long at most. One that wakes answers reads that waited in its sockets, and a leader
	// refuses sessions that the others go on with.
	slept  []string
	asleep int64 // nanoseconds
}

// story is a history, taken apart.
type story struct {
	operations []*operation
	links      map[int]*connection
	order      []*connection
	sessions   map[int64]*session
	ends       int64   // time of the last record
	settled    int64   // time of the note, or forever
	restarts   []int64 // times of the notes
	violations []Violation
	bound      int64 // nanoseconds; 0: one server
	javas
}

// tells is whether a refusal says something about the session.
func (s *story) tells(tried attempt) bool {
	return tried.refused && !slices.Contains(s.slept, tried.link.server)
}

// ensemble tells whether the history is that of several servers: reads may be behind then.
func (s *story) ensemble() bool { return s.bound > 0 }

func (s *story) violate(rule, format string, arguments ...any) {
	s.violations = append(s.violations, Violation{rule, fmt.Sprintf(format, arguments...)})
}

func tell(records []Record) *story {
	s := &story{links: map[int]*connection{}, sessions: map[int64]*session{}, settled: forever}
	for place := range records {
		record := &records[place]
		s.ends = record.At
		if record.Kind == kindNote {
			switch record.Text {
			case noteSettled:
				s.settled = record.At
			case noteRestarted:
				s.restarts = append(s.restarts, record.At)
			}
			continue
		}
		link := s.links[record.Link]
		if link == nil {
			link = &connection{number: record.Link}
			s.links[record.Link], s.order = link, append(s.order, link)
		}
		s.take(link, place, record)
	}
	return s
}

func (s *story) take(link *connection, place int, record *Record) {
	if record.Text != "" {
		s.violate("frame", "link %d: %s in %+v", link.number, record.Text, *record)
	}
	switch record.Kind {
	case kindConnect:
		link.asked, link.askedAt, link.askedIn, link.seen, link.server = record.Session, record.At, place, record.Zxid, record.Server
	case kindSession:
		s.greet(link, record)
	case kindRequest:
		made := &operation{Op: record.Op, link: link, xid: record.Xid, call: record.At, asked: place}
		link.requests = append(link.requests, made)
		s.operations = append(s.operations, made)
	case kindReply:
		s.answer(link, place, record)
	case kindEvent:
		link.arrivals = append(link.arrivals, arrival{Record: record, place: place})
	}
}

func (s *story) greet(link *connection, record *Record) {
	refused := record.Session == 0 || record.Timeout <= 0
	id := record.Session
	if refused {
		id = link.asked
	} else {
		link.session, link.timeout = id, int64(record.Timeout)*1e6
		if link.asked != 0 && link.asked != id {
			s.violate("session-other", "link %d asked for session 0x%x and got 0x%x", link.number, link.asked, id)
		}
	}
	known := s.sessions[id]
	if known == nil {
		known = &session{id: id}
		s.sessions[id] = known
	} else if link.asked == 0 {
		s.violate("session-repeated", "link %d: session id 0x%x was given out twice", link.number, id)
	}
	known.attempts = append(known.attempts, attempt{link, record.At, refused})
	if !refused {
		known.hear(link.askedAt, link.timeout)
	}
}

func (s *session) hear(at, timeout int64) {
	s.heard, s.timeout = max(s.heard, at), timeout
}

// answer gives a reply to the first request without one: a connection's replies come in the order of its requests.
func (s *story) answer(link *connection, place int, record *Record) {
	for i := link.unmatched; i < len(link.requests); i++ {
		asked := link.requests[i]
		if asked.reply != nil || asked.xid != record.Xid {
			continue
		}
		if i != link.unmatched && record.Xid != authXid {
			s.violate("reply-order", "link %d: the reply to xid %d came before the one to xid %d", link.number, record.Xid, link.requests[link.unmatched].xid)
		}
		asked.reply, asked.result = record, record.Result
		for link.unmatched < len(link.requests) && link.requests[link.unmatched].reply != nil {
			link.unmatched++
		}
		link.arrivals = append(link.arrivals, arrival{Record: record, place: place, operation: asked})
		if known := s.sessions[link.session]; known != nil {
			known.hear(asked.call, link.timeout)
			if asked.Name == "closeSession" {
				known.closes = append(known.closes, asked)
			}
		}
		return
	}
	s.violate("reply-order", "link %d: a reply to xid %d, which nobody asked for", link.number, record.Xid)
}
