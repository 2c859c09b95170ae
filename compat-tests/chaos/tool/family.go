package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// znode is one node of the model. A zxid that nobody has seen yet is negative: -n-1 stands for "above n".
type znode struct {
	data                       string
	czxid, mzxid, pzxid, owner int64
	version, creates, children int32
}

// family is the model's state: a znode (top) and its children, which have none themselves. States are never changed.
type family struct {
	last  int64 // the highest zxid that took effect or was reflected in a read
	ended bool  // the history is over: what has no answer needs no effect any more
	top   *znode
	names []string // of the children, sorted
	nodes []*znode // beside the names
	gone  []int64  // sessions that ended with requests without answer
	turns []turn   // how far the requests without answer have come
}

// turn tells which request without answer of a connection comes next.
type turn struct {
	link, next int
	before     int64 // of the step: behind this zxid there is no next
}

// step is what can happen to a family.
type step struct {
	*operation       // a request, or nil
	gone       int64 // else: the session that ends
	haunts     bool  // it has requests without answer, which may not make anything from then on
	zxid       int64 // 0: unknown
	ends       bool  // else: the end of the history
	known      bool  // whether there was an answer
	before     int64 // without an answer: it has no effect at this zxid or later
	turn       int   // without an answer: its place among those of the connection, which take effect in order; -1: any
}

func (f *family) clone() *family {
	next := *f
	next.names, next.nodes, next.gone, next.turns = slices.Clone(f.names), slices.Clone(f.nodes), slices.Clone(f.gone), slices.Clone(f.turns)
	return &next
}

func equalFamilies(one, two any) bool {
	a, b := one.(*family), two.(*family)
	return a == b || a.last == b.last && a.ended == b.ended && slices.Equal(a.names, b.names) && slices.Equal(a.gone, b.gone) &&
		slices.Equal(a.turns, b.turns) && equalNodes(a.top, b.top) && slices.EqualFunc(a.nodes, b.nodes, equalNodes)
}

func equalNodes(a, b *znode) bool { return a == b || a != nil && b != nil && *a == *b }

func hashFamily(of any) uint64 {
	f := of.(*family)
	return uint64(f.last)*31 + uint64(len(f.names))
}

// stepFamily is the model: whether this can happen now, and what is then.
func stepFamily(from, input, _ any) (bool, any) {
	f, s := from.(*family), input.(*step)
	switch {
	case s.ends:
		next := f.clone()
		next.ended = true
		return true, next
	case f.ended:
		return !s.known, f
	case s.gone != 0:
		return f.end(s)
	case !s.known:
		return f.unknown(s)
	case writes[s.Name]:
		return f.write(s)
	default:
		return f.read(s)
	}
}

// end takes a session's ephemerals away.
func (f *family) end(s *step) (bool, any) {
	if s.zxid != 0 && s.zxid <= f.last {
		return false, f
	}
	next, zxid := f.clone(), s.zxid
	if zxid == 0 {
		zxid = -f.last - 1
	} else {
		next.last = zxid
	}
	for i := len(next.names) - 1; i >= 0; i-- {
		if next.nodes[i].owner == s.gone {
			next.remove(i, zxid)
		}
	}
	if s.haunts {
		next.gone = append(next.gone, s.gone)
		slices.Sort(next.gone)
	}
	return true, next
}

// unknown lets a request without answer come to the server, after those before it on its connection. What never came
// there is left for the end of the history.
func (f *family) unknown(s *step) (bool, any) {
	if f.last >= s.before {
		return false, f
	}
	next := f.clone()
	if s.turn >= 0 && !next.take(s) {
		return false, f
	}
	zxid := s.zxid
	if zxid == 0 {
		zxid = -f.last - 1
	} else if next.last = zxid; zxid <= f.last {
		return false, f
	}
	results := next.apply(s, zxid)
	failed := slices.ContainsFunc(results, func(r Result) bool { return r.Err != 0 })
	if !failed {
		return true, next
	}
	unchanged := f.clone()
	unchanged.turns = next.turns
	return s.turn >= 0 && s.zxid == 0, unchanged
}

// take is whether it is a step's turn; it lets the next one of the connection follow.
func (f *family) take(s *step) bool {
	f.turns = slices.DeleteFunc(f.turns, func(t turn) bool { return t.before <= f.last })
	i, found := slices.BinarySearchFunc(f.turns, s.link.number, func(t turn, link int) int { return t.link - link })
	if !found {
		f.turns = slices.Insert(f.turns, i, turn{s.link.number, 0, s.before})
	}
	f.turns[i].next++
	return f.turns[i].next == s.turn+1
}

func (f *family) write(s *step) (bool, any) {
	if s.zxid <= f.last {
		return false, f
	}
	next := f.clone()
	results := next.apply(s, s.zxid)
	failed := slices.IndexFunc(results, func(r Result) bool { return r.Err != 0 })
	if failed >= 0 {
		next = f.clone()
	}
	next.last = s.zxid
	if s.Name != "multi" {
		if results[0].Err != s.reply.Err {
			return false, f
		}
		return s.reply.Err != 0 || next.agrees(s.Op, results[0], s.result, s.zxid), next
	}
	if s.reply.Err != 0 || s.result == nil || len(s.result.Results) != len(s.Ops) {
		return false, f
	}
	for i := range s.Ops {
		seen := s.result.Results[i]
		expected := expectedError(results, failed, i)
		if seen.Err != expected || (failed < 0 && !next.agreesWithin(&s.Ops[i], results[i], &seen)) {
			return false, f
		}
	}
	return true, next
}

// expectedError: of a failed multi the operations before the failed one say 0, those after it -2.
func expectedError(results []Result, failed, i int) int32 {
	if failed < 0 || i < failed {
		return 0
	}
	if i > failed {
		return -2
	}
	return results[failed].Err
}

// agrees compares what a write answered with what the model did.
func (f *family) agrees(op *Op, expected Result, seen *Result, zxid int64) bool {
	if op.Name == "delete" {
		return true
	}
	if seen == nil || seen.Path != expected.Path {
		return false
	}
	if seen.Stat == nil {
		return op.Name == "create"
	}
	target := expected.Path
	if op.Name == "setData" {
		target = op.Path
	}
	return f.shows(target, seen.Stat, zxid)
}

// agreesWithin is agrees for a part of a multi, whose later parts may have changed the znode again.
func (f *family) agreesWithin(_ *Op, expected Result, seen *Result) bool {
	return seen.Path == expected.Path
}

func (f *family) read(s *step) (bool, any) {
	if s.reply.Zxid < f.last {
		return false, f
	}
	next := f.clone()
	next.last = s.reply.Zxid
	node := next.find(s.Path)
	if node == nil {
		return s.reply.Err == errNoNode, next
	}
	if s.reply.Err != 0 || s.result == nil {
		return false, f
	}
	switch s.Name {
	case "getData":
		if s.result.Data != node.data {
			return false, f
		}
	case "getChildren", "getChildren2":
		if isTop(s.Path) && !slices.Equal(s.result.Names, next.names) || !isTop(s.Path) && len(s.result.Names) > 0 {
			return false, f
		}
	}
	return s.result.Stat == nil || next.shows(s.Path, s.result.Stat, s.reply.Zxid), next
}

// shows compares a stat with the model and learns zxids that were unknown.
func (f *family) shows(target string, seen *Stat, newest int64) bool {
	node := f.find(target)
	if node == nil {
		return false
	}
	learned := *node
	good := learn(&learned.czxid, seen.Czxid, newest) && learn(&learned.mzxid, seen.Mzxid, newest) && learn(&learned.pzxid, seen.Pzxid, newest) &&
		seen.Owner == node.owner && seen.Version == node.version && seen.Children == node.children &&
		seen.Cversion == 2*node.creates-node.children && seen.Aversion == 0 && int(seen.Length) == len(node.data)
	f.put(target, &learned)
	return good
}

func learn(field *int64, seen, newest int64) bool {
	if *field < 0 && seen > -*field-1 && seen <= newest {
		*field = seen
	}
	return *field == seen
}

// isTop tells whether a path /run/family names the top of a family, or one of its children.
func isTop(target string) bool { return strings.Count(target, "/") == 2 }

func (f *family) find(target string) *znode {
	if isTop(target) {
		return f.top
	}
	if i, found := slices.BinarySearch(f.names, path.Base(target)); found {
		return f.nodes[i]
	}
	return nil
}

func (f *family) put(target string, node *znode) {
	if isTop(target) {
		f.top = node
	} else if i, found := slices.BinarySearch(f.names, path.Base(target)); found {
		f.nodes[i] = node
	}
}

// apply does all operations of a request up to the first that fails.
func (f *family) apply(s *step, zxid int64) []Result {
	if s.Name != "multi" {
		return []Result{f.applyOne(s.Op, s.session(), zxid)}
	}
	var results []Result
	for i := range s.Ops {
		results = append(results, f.applyOne(&s.Ops[i], s.session(), zxid))
		if results[i].Err != 0 {
			break
		}
	}
	return results
}

func (f *family) applyOne(op *Op, session, zxid int64) Result {
	switch op.Name {
	case "create", "create2", "createContainer", "createTTL":
		return f.create(op, session, zxid)
	}
	node := f.find(op.Path)
	switch {
	case node == nil:
		return Result{Err: errNoNode}
	case op.Version != -1 && op.Version != node.version:
		return Result{Err: errBadVersion}
	case op.Name == "setData":
		changed := *node
		changed.data, changed.mzxid, changed.version = op.Data, zxid, node.version+1
		f.put(op.Path, &changed)
	case op.Name == "delete" && isTop(op.Path):
		if len(f.names) > 0 {
			return Result{Err: errNotEmpty}
		}
		f.top = nil
	case op.Name == "delete":
		i, _ := slices.BinarySearch(f.names, path.Base(op.Path))
		f.remove(i, zxid)
	}
	return Result{}
}

func (f *family) create(op *Op, session, zxid int64) Result {
	node := &znode{data: op.Data, czxid: zxid, mzxid: zxid, pzxid: zxid, owner: ownerOf(op, session)}
	if isTop(op.Path) {
		if f.top != nil {
			return Result{Err: errNodeExists}
		}
		f.top = node
		return Result{Path: op.Path}
	}
	if f.top == nil {
		return Result{Err: errNoNode}
	}
	if slices.Contains(f.gone, session) {
		return Result{Err: errExpired}
	}
	made := op.Path
	if op.Flags == flagSequential || op.Flags == flagEphemeralSequential || op.Flags == flagTTLSequential {
		made += fmt.Sprintf("%010d", f.top.creates)
	}
	i, found := slices.BinarySearch(f.names, path.Base(made))
	if found {
		return Result{Err: errNodeExists}
	}
	f.names, f.nodes = slices.Insert(f.names, i, path.Base(made)), slices.Insert(f.nodes, i, node)
	top := *f.top
	top.creates, top.children, top.pzxid = top.creates+1, top.children+1, zxid
	f.top = &top
	return Result{Path: made}
}

// ownerOf gives the owner that clients see: that of a container or of a znode with a time to live is hidden.
func ownerOf(op *Op, session int64) int64 {
	if op.Flags == flagEphemeral || op.Flags == flagEphemeralSequential {
		return session
	}
	return 0
}

func (f *family) remove(i int, zxid int64) {
	f.names, f.nodes = slices.Delete(f.names, i, i+1), slices.Delete(f.nodes, i, i+1)
	top := *f.top
	top.children, top.pzxid = top.children-1, zxid
	f.top = &top
}
