package main

// behind are histories of several servers, of which one may be two seconds behind.
var behind = []verdict{
	{"a read from the past", "", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.get(2, "/r/f/a", false, 4, "x", of(4, 4, 0))
	}},
	{"a read from the past beyond the bound", "stale", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.wait(2100)
		s.get(2, "/r/f/a", false, 4, "x", of(4, 4, 0))
	}},
	{"a read from the past by a Java server that woke", "", func(s *script) { late(s, 4900) }},
	{"a read from the past by a Java server that woke long before", "stale", func(s *script) { late(s, 5100) }},
	{"a read that is not the state at its zxid", "linearizability", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.get(2, "/r/f/a", false, 5, "x", of(4, 4, 0))
	}},
	{"a sync that is behind", "real-time", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.do(2, Op{Name: "sync", Path: "/r/f"}, 4, nil)
	}},
	{"a sync of a Java server that is behind", "", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.add(Record{Kind: kindConnect, Link: 3, Server: "java:1", Timeout: 4000})
		s.add(Record{Kind: kindSession, Link: 3, Session: 0x13, Timeout: 4000})
		s.do(3, Op{Name: "sync", Path: "/r/f"}, 4, nil)
	}},
	{"a session that a Java server refuses goes on", "linearizability session-lost", func(s *script) { refusal(s, "java:1") }},
	{"a session that a Java server refuses when it wakes goes on", "", func(s *script) { refusal(s, "java:2") }},
	{"a write without an answer is seen after one with an answer", "", func(s *script) {
		s.ask(1, setting("/r/f/a", "b"))
		s.lose(1)
		s.create(2, "/r/f/b", 0, 6, "/r/f/b")
		s.get(2, "/r/f/a", false, 6, "b", of(4, 5, 1))
	}},
	{"a session forgets on another server what it saw", "zxid-order", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.lose(1)
		s.add(Record{Kind: kindConnect, Link: 3, Session: one, Timeout: 4000, Zxid: 5})
		s.add(Record{Kind: kindSession, Link: 3, Session: one, Timeout: 4000})
		s.get(3, "/r/f/a", false, 4, "x", of(4, 4, 0))
	}},
	{"an acknowledged write is lost with the leader", "linearizability", func(s *script) {
		s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
		s.get(2, "/r/f/a", false, 0x100000001, "x", of(4, 4, 0))
	}},
	{"a write on a leader of the past", "real-time zxid-order", func(s *script) {
		s.create(1, "/r/g", 0, 0x100000001, "/r/g")
		s.create(2, "/r/h", 0, 5, "/r/h")
		s.do(2, Op{Name: "sync", Path: "/"}, 4, nil)
	}},
	{"an ephemeral stays for ever", "linearizability", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.wait(9000)
		s.note(noteSettled)
		s.do(2, setting("/r", ""), 6, nil)
		s.get(2, "/r/f/e", false, 6, "x", owned(of(5, 5, 0), one))
	}},
	{"an ephemeral is gone although its session lives", "linearizability", func(s *script) {
		s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
		s.lose(1)
		s.greet(3, one, one)
		s.fail(3, Op{Name: "getData", Path: "/r/f/e"}, 6, errNoNode)
		s.wait(3000)
		s.do(3, Op{Name: "sync", Path: "/"}, 6, nil)
	}},
}

// refusal: a server refuses a session whose ephemeral is seen afterwards.
func refusal(s *script, server string) {
	s.create(1, "/r/f/e", flagEphemeral, 5, "/r/f/e")
	s.lose(1)
	s.add(Record{Kind: kindConnect, Link: 3, Server: server, Session: one, Timeout: 4000})
	s.add(Record{Kind: kindSession, Link: 3})
	s.lose(3)
	s.create(2, "/r/f/b", 0, 6, "/r/f/b")
	s.get(2, "/r/f/e", false, 6, "x", owned(of(5, 5, 0), one))
}

// late: a server that slept answers a read from the past after so many milliseconds.
func late(s *script, ms int64) {
	s.add(Record{Kind: kindConnect, Link: 3, Server: "java:2", Timeout: 40000})
	s.add(Record{Kind: kindSession, Link: 3, Session: 0x13, Timeout: 40000})
	s.set(1, "/r/f/a", "b", 5, of(4, 5, 1))
	s.wait(ms)
	s.get(3, "/r/f/a", false, 4, "x", of(4, 4, 0))
}
