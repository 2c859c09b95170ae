package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// script makes a history by hand. Every frame comes a millisecond after the one before.
type script struct {
	records []Record
	at      int64
	xid     int32
}

func (s *script) add(record Record) {
	s.at += 1e6
	record.At = s.at
	s.records = append(s.records, record)
}

func (s *script) wait(ms int64) { s.at += ms * 1e6 }

// greet opens a link: `asked` 0 is for a new session, `given` 0 a refusal.
func (s *script) greet(link int, asked, given int64) {
	s.add(Record{Kind: kindConnect, Link: link, Session: asked, Timeout: 4000})
	timeout := int32(4000)
	if given == 0 {
		timeout = 0
	}
	s.add(Record{Kind: kindSession, Link: link, Session: given, Timeout: timeout})
}

func (s *script) ask(link int, op Op) int32 {
	s.xid++
	s.add(Record{Kind: kindRequest, Link: link, Xid: s.xid, Op: &op})
	return s.xid
}

func (s *script) answer(link int, xid int32, zxid int64, err int32, result *Result) {
	s.add(Record{Kind: kindReply, Link: link, Xid: xid, Zxid: zxid, Err: err, Result: result})
}

func (s *script) do(link int, op Op, zxid int64, result *Result) {
	s.answer(link, s.ask(link, op), zxid, 0, result)
}

func (s *script) fail(link int, op Op, zxid int64, err int32) {
	s.answer(link, s.ask(link, op), zxid, err, nil)
}

func (s *script) event(link int, zxid int64, kind int32, path string) {
	s.add(Record{Kind: kindEvent, Link: link, Zxid: zxid, Type: kind, Path: path})
}

func (s *script) lose(link int)    { s.add(Record{Kind: kindClose, Link: link}) }
func (s *script) note(text string) { s.add(Record{Kind: kindNote, Text: text}) }

func (s *script) create(link int, path string, flags int32, zxid int64, made string) {
	s.do(link, Op{Name: "create", Path: path, Data: "x", Flags: flags}, zxid, &Result{Path: made})
}

func (s *script) set(link int, path, data string, zxid int64, stat Stat) {
	stat.Mzxid = zxid
	s.do(link, Op{Name: "setData", Path: path, Data: data, Version: -1}, zxid, &Result{Stat: &stat})
}

func (s *script) get(link int, path string, watch bool, zxid int64, data string, stat Stat) {
	s.do(link, Op{Name: "getData", Path: path, Watch: watch}, zxid, &Result{Data: data, Stat: &stat})
}

// of is the stat of a child with data of one byte, made at `czxid`.
func of(czxid, mzxid int64, version int32) Stat {
	return Stat{Czxid: czxid, Mzxid: mzxid, Pzxid: czxid, Version: version, Length: 1}
}

func owned(stat Stat, owner int64) Stat { stat.Owner = owner; return stat }

func setting(path, data string) Op {
	return Op{Name: "setData", Path: path, Data: data, Version: -1}
}

const (
	one = int64(0x11) // the session of link 1
	two = int64(0x12) // the session of link 2
)

// begun has two sessions and the child /r/f/a with data "x", made at zxid 4.
func begun() *script {
	s := &script{}
	s.greet(1, 0, one)
	s.greet(2, 0, two)
	s.create(1, "/r", 0, 2, "/r")
	s.create(1, "/r/f", 0, 3, "/r/f")
	s.create(1, "/r/f/a", 0, 4, "/r/f/a")
	return s
}

// verdict is a history and the rules that it breaks.
type verdict struct {
	name  string
	rules string
	tell  func(*script)
}

var registers = []verdict{
	{"writes and reads in order", "", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.get(2, "/r/f/a", false, 5, "b", of(4, 5, 1))
	}},
	{"an acknowledged write is lost in a restart", "linearizability", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.note(noteRestarted)
		s.get(2, "/r/f/a", false, 6, "x", of(4, 4, 0))
	}},
	{"an acknowledged create is lost", "linearizability", func(s *script) {
		s.create(1, "/r/f/b", 0, 5, "/r/f/b")
		s.fail(2, Op{Name: "getData", Path: "/r/f/b"}, 6, errNoNode)
	}},
	{"a stale read", "linearizability real-time", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.get(2, "/r/f/a", false, 4, "x", of(4, 4, 0))
	}},
	{"a list without an acknowledged child", "linearizability", func(s *script) {
		s.do(1, Op{Name: "getChildren", Path: "/r/f"}, 5, &Result{Names: []string{}})
	}},
	{"a version is used twice", "linearizability", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.set(2, "/r/f/a", "c", 6, of(4, 6, 1))
	}},
	{"a write with a wrong version goes through", "linearizability", func(s *script) {
		s.do(1, Op{Name: "delete", Path: "/r/f/a", Version: 7}, 5, nil)
	}},
	{"half of a multi is seen", "linearizability", func(s *script) {
		s.do(1, Op{Name: "multi", Ops: []Op{setting("/r/f/a", "b"), setting("/r/f", "c")}}, 5, &Result{Results: []Result{{}, {}}})
		s.get(2, "/r/f", false, 5, "x", Stat{Czxid: 3, Mzxid: 3, Pzxid: 4, Cversion: 1, Children: 1, Length: 1})
	}},
	{"a failed multi leaves a trace", "linearizability", func(s *script) {
		multi := Op{Name: "multi", Ops: []Op{setting("/r/f/a", "b"), {Name: "delete", Path: "/r/f/none", Version: -1}}}
		s.do(1, multi, 5, &Result{Results: []Result{{}, {Err: errNoNode}}})
		s.get(2, "/r/f/a", false, 6, "b", of(4, 5, 1))
	}},
	{"a write without answer happened", "", func(s *script) {
		s.ask(1, setting("/r/f/a", "b"))
		s.lose(1)
		s.get(2, "/r/f/a", false, 5, "b", of(4, 5, 1))
	}},
	{"a write without answer did not happen", "", func(s *script) {
		s.ask(1, setting("/r/f/a", "b"))
		s.lose(1)
		s.get(2, "/r/f/a", false, 5, "x", of(4, 4, 0))
	}},
	{"a write without answer comes out of the past after a restart", "linearizability", func(s *script) {
		s.ask(1, setting("/r/f/a", "b"))
		s.lose(1)
		s.note(noteRestarted)
		s.create(2, "/r/f/b", 0, 5, "/r/f/b")
		s.get(2, "/r/f/a", false, 6, "x", of(4, 4, 0))
		s.get(2, "/r/f/a", false, 7, "b", of(4, 7, 1))
	}},
	{"of two writes without answer only the later happened", "linearizability", func(s *script) {
		s.ask(1, setting("/r/f/a", "b"))
		s.ask(1, setting("/r/f/a", "c"))
		s.lose(1)
		s.get(2, "/r/f/a", false, 5, "c", of(4, 5, 1))
	}},
	{"a read forgets its session's own write", "linearizability", func(s *script) {
		write, read := s.ask(1, setting("/r/f/a", "b")), s.ask(1, Op{Name: "getData", Path: "/r/f/a"})
		stat, old := of(4, 5, 1), of(4, 4, 0)
		s.answer(1, write, 5, 0, &Result{Stat: &stat})
		s.answer(1, read, 5, 0, &Result{Data: "x", Stat: &old})
	}},
}

var orders = []verdict{
	{"replies change places", "reply-order", func(s *script) {
		first, second := s.ask(1, Op{Name: "sync", Path: "/"}), s.ask(1, Op{Name: "sync", Path: "/"})
		s.answer(1, second, 5, 0, nil)
		s.answer(1, first, 5, 0, nil)
	}},
	{"a zxid goes back", "zxid-order real-time", func(s *script) {
		s.do(1, Op{Name: "sync", Path: "/"}, 9, nil)
		s.do(1, Op{Name: "sync", Path: "/"}, 8, nil)
	}},
	{"two writes share a zxid", "zxid-order", func(s *script) {
		first, second := s.ask(1, Op{Name: "create", Path: "/r/g"}), s.ask(2, Op{Name: "create", Path: "/r/h"})
		s.answer(1, first, 5, 0, &Result{Path: "/r/g"})
		s.answer(2, second, 5, 0, &Result{Path: "/r/h"})
	}},
	{"a write gets an old zxid", "real-time", func(s *script) {
		s.do(1, Op{Name: "sync", Path: "/"}, 9, nil)
		s.create(2, "/r/g", 0, 8, "/r/g")
	}},
	{"sequence numbers grow", "", func(s *script) {
		s.create(1, "/r/f/s-", flagSequential, 5, "/r/f/s-0000000001")
		s.create(2, "/r/f/s-", flagSequential, 6, "/r/f/s-0000000002")
	}},
	{"a sequence number comes twice", "sequence linearizability", func(s *script) {
		s.create(1, "/r/f/s-", flagSequential, 5, "/r/f/s-0000000001")
		s.do(1, Op{Name: "delete", Path: "/r/f/s-0000000001", Version: -1}, 6, nil)
		s.note(noteRestarted)
		s.create(2, "/r/f/s-", flagSequential, 7, "/r/f/s-0000000001")
	}},
}

var sessionRules = []verdict{
	{"an ephemeral outlives a restart with its session", "", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.lose(1)
		s.greet(3, one, one)
		s.get(3, "/r/f/e", false, 5, "x", owned(of(5, 5, 0), one))
	}},
	{"an ephemeral is gone although its session lives", "linearizability", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.lose(1)
		s.greet(3, one, one)
		s.fail(3, Op{Name: "getData", Path: "/r/f/e"}, 6, errNoNode)
	}},
	{"an ephemeral goes when its session may have expired", "", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.wait(4100)
		s.fail(2, Op{Name: "getData", Path: "/r/f/e"}, 6, errNoNode)
	}},
	{"an ephemeral is there after its session was closed", "linearizability", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.do(1, Op{Name: "closeSession"}, 6, nil)
		s.get(2, "/r/f/e", false, 6, "x", owned(of(5, 5, 0), one))
	}},
	{"an ephemeral stays for ever", "linearizability", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.wait(9000)
		s.note(noteSettled)
		s.get(2, "/r/f/e", false, 6, "x", owned(of(5, 5, 0), one))
	}},
	{"a live session is refused", "session-lost", func(s *script) { s.lose(1); s.greet(3, one, 0) }},
	{"an expired session is refused", "", func(s *script) { s.lose(1); s.wait(4100); s.greet(3, one, 0) }},
	{"a closed session is resumed", "session-revived", func(s *script) {
		s.do(1, Op{Name: "closeSession"}, 6, nil)
		s.greet(3, one, one)
	}},
	{"a refused session is resumed", "session-revived", func(s *script) {
		s.lose(1)
		s.wait(4100)
		s.greet(3, one, 0)
		s.greet(4, one, one)
	}},
	{"a session id is given out again", "session-repeated", func(s *script) { s.greet(3, 0, one) }},
}

// watched begins with a data watch of link 2 on /r/f/a, set at zxid 4.
func watched(then func(*script)) func(*script) {
	return func(s *script) {
		s.get(2, "/r/f/a", true, 4, "x", of(4, 4, 0))
		then(s)
	}
}

// lasting begins with a persistent watch (mode 0) or a recursive one (1) of link 2 on /r/f.
func lasting(mode int32, then func(*script)) func(*script) {
	return func(s *script) {
		s.do(2, Op{Name: "addWatch", Path: "/r/f", Mode: mode}, 4, nil)
		then(s)
	}
}

// restored begins with a change of /r/f/a at zxid 5; then session two comes back and names the path in a list.
func restored(list int, caught int32) func(*script) {
	return func(s *script) {
		s.lose(2)
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.greet(3, two, two)
		lists := make([][]string, 3)
		lists[list] = []string{"/r/f/a"}
		xid := s.ask(3, Op{Name: "setWatches", Zxid: 4, Lists: lists})
		if caught != 0 {
			s.event(3, -1, caught, "/r/f/a")
		}
		s.answer(3, xid, 5, 0, nil)
	}
}

var watchRules = []verdict{
	{"a watch tells of its change", "", watched(func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.event(2, 5, eventChanged, "/r/f/a")
		s.get(2, "/r/f/a", false, 5, "b", of(4, 5, 1))
	})},
	{"a watch is lost", "watch-lost", watched(func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.do(2, Op{Name: "sync", Path: "/"}, 5, nil)
	})},
	{"the event comes after a read that shows its cause", "watch-lost watch-spurious", watched(func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.get(2, "/r/f/a", false, 5, "b", of(4, 5, 1))
		s.event(2, 5, eventChanged, "/r/f/a")
	})},
	{"a one-shot watch tells twice", "watch-spurious", watched(func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.event(2, 5, eventChanged, "/r/f/a")
		s.set(1, "/r/f/a", "c", 6, of(4, 6, 2))
		s.event(2, 6, eventChanged, "/r/f/a")
	})},
	{"an event without cause", "watch-spurious", watched(func(s *script) { s.event(2, 5, eventChanged, "/r/f/a") })},
	{"an event of the wrong kind", "watch-spurious", watched(func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.event(2, 5, eventCreated, "/r/f/a")
	})},
	{"a persistent watch tells of all", "", lasting(0, func(s *script) {
		s.create(1, "/r/f/b", 0, 5, "/r/f/b")
		s.event(2, 5, eventChildren, "/r/f")
		s.create(1, "/r/f/c", 0, 6, "/r/f/c")
		s.event(2, 6, eventChildren, "/r/f")
		s.do(2, Op{Name: "sync", Path: "/"}, 6, nil)
	})},
	{"a persistent watch misses the second change", "watch-lost", lasting(0, func(s *script) {
		s.create(1, "/r/f/b", 0, 5, "/r/f/b")
		s.event(2, 5, eventChildren, "/r/f")
		s.create(1, "/r/f/c", 0, 6, "/r/f/c")
		s.do(2, Op{Name: "sync", Path: "/"}, 6, nil)
	})},
	{"a recursive watch misses a change below", "watch-lost", lasting(1, func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.do(2, Op{Name: "sync", Path: "/"}, 5, nil)
	})},
	{"a recursive watch tells of children", "watch-spurious", lasting(1, func(s *script) {
		s.create(1, "/r/f/b", 0, 5, "/r/f/b")
		s.event(2, 5, eventCreated, "/r/f/b")
		s.event(2, 5, eventChildren, "/r/f")
	})},
	{"a recursive watch tells twice", "watch-doubled", lasting(1, func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.event(2, 5, eventChanged, "/r/f/a")
		s.event(2, 5, eventChanged, "/r/f/a")
	})},
	{"events change places", "watch-order", lasting(1, func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.set(1, "/r/f/a", "c", 6, of(4, 6, 2))
		s.event(2, 6, eventChanged, "/r/f/a")
		s.event(2, 5, eventChanged, "/r/f/a")
	})},
	{"setWatches tells of a change", "", restored(0, eventChanged)},
	{"setWatches keeps a change to itself", "watch-lost", restored(0, 0)},
	{"setWatches tells one that waits for a znode that it is there", "", restored(1, eventCreated)},
	{"setWatches tells of children instead of data", "watch-lost watch-spurious", restored(0, eventChildren)},
}

func TestPlantedFaults(t *testing.T) {
	judge(t, slices.Concat(registers, orders, sessionRules, watchRules), 0)
}

func TestPlantedFaultsOfEnsembles(t *testing.T) { judge(t, behind, 2*time.Second) }

func judge(t *testing.T, verdicts []verdict, bound time.Duration) {
	for _, expected := range verdicts {
		s := begun()
		expected.tell(s)
		told, _ := examine(s.records, t.TempDir(), bound, javas{[]string{"java:1", "java:2"}, []string{"java:2"}, 3e9})
		found, text := []string{}, ""
		for _, violation := range told.violations {
			found, text = append(found, violation.Rule), text+"\n"+violation.Rule+": "+violation.Text
		}
		slices.Sort(found)
		wanted := strings.Fields(expected.rules)
		slices.Sort(wanted)
		if !slices.Equal(slices.Compact(found), wanted) {
			t.Errorf("%s: found %v, expected %v%s", expected.name, found, wanted, text)
		}
	}
}

// A history is the same after it was written to a file and read, and a fault in it leaves a picture.
func TestHistoryFileAndPicture(t *testing.T) {
	folder := t.TempDir()
	recorder, err := newRecorder(filepath.Join(folder, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	s := begun()
	registers[1].tell(s)
	for _, record := range s.records {
		recorder.add(record)
	}
	recorder.close()
	records, err := readHistory(filepath.Join(folder, "history.jsonl"))
	if err != nil || len(records) != len(s.records) {
		t.Fatalf("%d records of %d, error %v", len(records), len(s.records), err)
	}
	_, sum := examine(records, folder, 0, javas{})
	if sum.Violations != 1 || sum.Acknowledged != 4 || sum.Operations != 5 {
		t.Errorf("summary %+v", sum)
	}
	if _, err := os.Stat(filepath.Join(folder, "f.html")); err != nil {
		t.Error(err)
	}
}
