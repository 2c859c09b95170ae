package main

import (
	"math"
	"slices"
	"sort"

	"github.com/anishathalye/porcupine"
)

// latest is a place behind all zxids.
const latest = math.MaxInt64 / 8

// clock translates between the time of a history and its zxids.
type clock struct {
	answered []moment // the highest zxid that was answered by a time
	sent     []moment // the lowest zxid of a write that was sent at a time or later
}

type moment struct{ at, zxid int64 }

func newClock(s *story) *clock {
	c := &clock{}
	for _, asked := range s.operations {
		if asked.reply == nil || asked.reply.Zxid <= 0 {
			continue
		}
		c.answered = append(c.answered, moment{asked.reply.At, asked.reply.Zxid})
		if writes[asked.Name] {
			c.sent = append(c.sent, moment{asked.call, asked.reply.Zxid})
		}
	}
	for _, all := range [][]moment{c.answered, c.sent} {
		sort.Slice(all, func(i, j int) bool { return all[i].at < all[j].at })
	}
	for i := 1; i < len(c.answered); i++ {
		c.answered[i].zxid = max(c.answered[i].zxid, c.answered[i-1].zxid)
	}
	for i := len(c.sent) - 2; i >= 0; i-- {
		c.sent[i].zxid = min(c.sent[i].zxid, c.sent[i+1].zxid)
	}
	return c
}

// after gives the highest zxid that was answered before a time: what begins then has a higher one.
func (c *clock) after(at int64) int64 {
	i := sort.Search(len(c.answered), func(i int) bool { return c.answered[i].at >= at })
	if i == 0 {
		return 0
	}
	return c.answered[i-1].zxid
}

// before gives the lowest zxid of a write that was sent after a time: what was over by then has a lower one.
func (c *clock) before(at int64) int64 {
	i := sort.Search(len(c.sent), func(i int) bool { return c.sent[i].at > at })
	if i == len(c.sent) {
		return latest
	}
	return c.sent[i].zxid
}

// byZxid puts steps where their zxids say instead of when they were seen. Servers of an ensemble answer reads from the past,
// so time orders only writes and syncs, which checkZxids looks at; what a read shows has to be the state at its zxid.
func byZxid(s *story, homes map[string][]porcupine.Operation) {
	c := newClock(s)
	for _, operations := range homes {
		c.place(operations)
	}
}

// place gives each step with a zxid a place of its own, reads behind the write whose zxid they have. Reads of one zxid see one
// state, so that any order of them will do. The other steps get the places between which they may come.
func (c *clock) place(operations []porcupine.Operation) {
	var fixed []int
	for i := range operations {
		if operations[i].Input.(*step).zxid != 0 {
			fixed = append(fixed, i)
		}
	}
	zxid := func(i int) int64 { return operations[fixed[i]].Input.(*step).zxid }
	sort.SliceStable(fixed, func(i, j int) bool {
		one, other := operations[fixed[i]].Input.(*step), operations[fixed[j]].Input.(*step)
		return one.zxid < other.zxid || one.zxid == other.zxid && !one.reads() && other.reads()
	})
	for i := range operations {
		made := &operations[i]
		switch open := made.Input.(*step); {
		case open.ends:
			made.Call = latest
		case open.zxid == 0:
			first := c.after(made.Call)
			made.Call = 4 * int64(sort.Search(len(fixed), func(i int) bool { return zxid(i) > first }))
			if made.Return != forever {
				over := c.before(made.Return)
				made.Return = max(made.Call, 4*int64(sort.Search(len(fixed), func(i int) bool { return zxid(i) >= over })))
			}
		}
	}
	for place, i := range fixed {
		operations[i].Call, operations[i].Return = 4*int64(place)+1, 4*int64(place)+2
	}
}

func (s *step) reads() bool { return s.operation != nil && !writes[s.Name] }

// checkStaleness: a server that was left behind serves reads for no longer than the bound. It gives the age of the stalest read.
func checkStaleness(s *story) int64 {
	if !s.ensemble() {
		return 0
	}
	c, stalest := newClock(s), int64(0)
	for _, asked := range s.operations {
		if asked.reply == nil || asked.reply.Zxid <= 0 {
			continue
		}
		// The first answer that told of more than the read did.
		i := sort.Search(len(c.answered), func(i int) bool { return c.answered[i].zxid > asked.reply.Zxid })
		if i == len(c.answered) || c.answered[i].at >= asked.call {
			continue
		}
		age := asked.call - c.answered[i].at
		stalest = max(stalest, age)
		bound := s.bound
		if slices.Contains(s.slept, asked.link.server) {
			bound += s.asleep
		}
		if age > bound {
			s.violate("stale", "zxid 0x%x was answered %.3f s before the request was sent: %v", c.answered[i].zxid, seconds(age), asked)
		}
	}
	return stalest
}
