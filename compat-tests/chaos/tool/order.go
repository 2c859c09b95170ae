package main

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
)

// checkZxids: the zxids of replies never go back, on a connection and against what its client had seen before, and against
// everything that was answered before the request was sent; each write has one of its own. With several servers a read may be
// behind what others were answered, a write and a sync may not.
func checkZxids(s *story) {
	replies, owner := []arrival{}, map[int64]*operation{}
	for _, link := range s.order {
		last := link.seen
		for _, seen := range link.arrivals {
			if seen.operation == nil || seen.Zxid <= 0 {
				continue
			}
			if seen.Zxid < last {
				s.violate("zxid-order", "zxid 0x%x seen before: %v", last, seen.operation)
			}
			last = seen.Zxid
			replies = append(replies, seen)
		}
	}
	sort.Slice(replies, func(i, j int) bool { return replies[i].place < replies[j].place })
	highest := newestBefore(replies)
	for _, seen := range replies {
		asked := seen.operation
		// Another connection of the session may still have replies under way, but none that is newer than this request.
		earlier := highest(max(asked.asked, asked.link.askedIn))
		current := !s.ensemble() || writes[asked.Name] || asked.Name == "sync" && !slices.Contains(s.java, asked.link.server)
		if current && seen.Zxid < earlier || (writes[asked.Name] && seen.Zxid == earlier) {
			s.violate("real-time", "zxid 0x%x was answered before the request was sent: %v", earlier, asked)
		}
		if !writes[asked.Name] {
			continue
		}
		if other := owner[seen.Zxid]; other != nil {
			s.violate("zxid-order", "one zxid for two writes: %v and %v", other, asked)
		}
		owner[seen.Zxid] = asked
	}
}

// newestBefore gives a function that tells the highest zxid answered before a place in the history.
func newestBefore(replies []arrival) func(int) int64 {
	highest := make([]int64, len(replies))
	newest := int64(0)
	for i, seen := range replies {
		newest = max(newest, seen.Zxid)
		highest[i] = newest
	}
	return func(place int) int64 {
		i := sort.Search(len(replies), func(i int) bool { return replies[i].place > place })
		if i == 0 {
			return 0
		}
		return highest[i-1]
	}
}

// checkSessions: a session is refused only after it was closed or was silent for its timeout, and then for good.
func checkSessions(s *story) {
	for _, known := range s.sessions {
		if known.id == 0 {
			continue
		}
		checkAttempts(s, known)
	}
}

func checkAttempts(s *story, known *session) {
	dead := ""
	for _, tried := range known.attempts {
		if closed := closedBefore(known, tried.link.askedAt); closed != nil {
			dead = fmt.Sprintf("was closed at %.6f s", seconds(closed.returned()))
		}
		if !tried.refused {
			if dead != "" {
				s.violate("session-revived", "session 0x%x %s and was resumed at %.6f s on link %d", known.id, dead, seconds(tried.at), tried.link.number)
			}
			continue
		}
		if !s.tells(tried) {
			continue
		}
		if expires := expiresAfter(s, known, tried.at); dead == "" && !closeTried(s, known, tried.at) && tried.at < expires {
			s.violate("session-lost", "session 0x%x was refused at %.6f s on link %d, it may not expire before %.6f s",
				known.id, seconds(tried.at), tried.link.number, seconds(expires))
		}
		dead = fmt.Sprintf("was refused at %.6f s", seconds(tried.at))
	}
}

func closedBefore(known *session, at int64) *operation {
	for _, closed := range known.closes {
		if closed.reply.Err == 0 && closed.returned() < at {
			return closed
		}
	}
	return nil
}

// closeTried tells whether the client asked before `at` to close the session, whatever became of it.
func closeTried(s *story, known *session, at int64) bool {
	return closeCall(s, known) <= at
}

// closeCall gives the time of the first request to close the session, or forever.
func closeCall(s *story, known *session) int64 {
	first := int64(forever)
	for _, tried := range known.attempts {
		for _, asked := range tried.link.requests {
			if asked.Name == "closeSession" && !tried.refused {
				first = min(first, asked.call)
			}
		}
	}
	return first
}

// expiresAfter gives the earliest time of expiry, by what the server had answered before `at`.
func expiresAfter(s *story, known *session, at int64) int64 {
	heard, timeout := int64(0), known.timeout
	for _, tried := range known.attempts {
		if tried.refused || tried.at > at {
			continue
		}
		heard, timeout = max(heard, tried.link.askedAt), tried.link.timeout
		for _, asked := range tried.link.requests {
			if asked.reply != nil && asked.reply.At <= at {
				heard = max(heard, asked.call)
			}
		}
	}
	// What a server heard that was cut off from its leader may not have reached it.
	return heard + timeout - s.bound
}

// made is a sequential znode that the server acknowledged.
type made struct {
	zxid   int64
	number int
	path   string
}

// checkSequences: below one znode the numbers grow with the zxids, and none comes twice.
func checkSequences(s *story) {
	below := map[string][]made{}
	add := func(op *Op, result *Result, zxid int64) {
		if op.Flags != flagSequential && op.Flags != flagEphemeralSequential && op.Flags != flagTTLSequential {
			return
		}
		suffix := result.Path[min(len(op.Path), len(result.Path)):]
		number, err := strconv.Atoi(suffix)
		if err != nil {
			s.violate("sequence", "%q was created for %q at zxid 0x%x", result.Path, op.Path, zxid)
			return
		}
		parent := path.Dir(op.Path)
		below[parent] = append(below[parent], made{zxid, number, result.Path})
	}
	for _, asked := range s.operations {
		if asked.reply == nil || asked.reply.Err != 0 || asked.result == nil {
			continue
		}
		if asked.Name != "multi" {
			add(asked.Op, asked.result, asked.reply.Zxid)
			continue
		}
		for i := range asked.Ops {
			if i < len(asked.result.Results) && asked.result.Results[i].Path != "" {
				add(&asked.Ops[i], &asked.result.Results[i], asked.reply.Zxid)
			}
		}
	}
	for _, all := range below {
		sort.SliceStable(all, func(i, j int) bool { return all[i].zxid < all[j].zxid })
		for i := 1; i < len(all); i++ {
			if all[i].number <= all[i-1].number {
				s.violate("sequence", "%s at zxid 0x%x after %s at zxid 0x%x", all[i].path, all[i].zxid, all[i-1].path, all[i-1].zxid)
			}
		}
	}
}
