package main

import (
	"fmt"
	"math"
	"path"
	"slices"
	"sort"
	"strings"
)

// Types of events.
const (
	eventCreated  = 1
	eventDeleted  = 2
	eventChanged  = 3
	eventChildren = 4
)

// view is what a watch looks at: the znode itself, or its list of children.
type view struct {
	path     string
	children bool
}

// change is something that happened for certain, in the view's order of zxids.
type change struct {
	zxid   int64
	create bool
}

// changes is what a whole history tells about what happened, and what may have happened.
type changes struct {
	certain map[view][]change
	// The same in one list, by zxid.
	all []happening
	// Of each acknowledged write, what it did, by zxid; a failed one did nothing.
	done map[int64][]Record
	// When writes without answer were sent that may have touched a view.
	perhaps map[view][]int64
	// How often one write without answer may have caused the same event.
	most map[event]int
}

type happening struct {
	zxid int64
	view view
}

type event struct {
	kind int32
	path string
}

func collect(s *story) *changes {
	c := &changes{certain: map[view][]change{}, done: map[int64][]Record{}, perhaps: map[view][]int64{}, most: map[event]int{}}
	for _, asked := range s.operations {
		c.collectWrite(asked)
		c.collectStats(asked)
	}
	for _, link := range s.order {
		for _, seen := range link.arrivals {
			if seen.operation == nil && seen.Zxid > 0 {
				c.add(view{seen.Path, seen.Type == eventChildren}, seen.Zxid, seen.Type == eventCreated)
			}
		}
	}
	for of, all := range c.certain {
		sort.Slice(all, func(i, j int) bool { return all[i].zxid < all[j].zxid })
		c.certain[of] = slices.CompactFunc(all, func(a, b change) bool { return a.zxid == b.zxid })
		for _, happened := range c.certain[of] {
			c.all = append(c.all, happening{happened.zxid, of})
		}
	}
	sort.Slice(c.all, func(i, j int) bool { return c.all[i].zxid < c.all[j].zxid })
	return c
}

func (c *changes) add(of view, zxid int64, create bool) {
	c.certain[of] = append(c.certain[of], change{zxid, create})
}

func (c *changes) collectWrite(asked *operation) {
	if !writes[asked.Name] {
		return
	}
	if asked.reply == nil {
		count := map[event]int{}
		for _, effect := range effects(asked, nil) {
			of, caused := view{effect.Path, effect.Type == eventChildren}, event{effect.Type, effect.Path}
			c.perhaps[of] = append(c.perhaps[of], asked.call)
			count[caused]++
			c.most[caused] = max(c.most[caused], count[caused])
		}
		return
	}
	zxid := asked.reply.Zxid
	if asked.Name == "closeSession" {
		return
	}
	c.done[zxid] = []Record{}
	if asked.reply.Err != 0 {
		return
	}
	c.done[zxid] = effects(asked, asked.result)
	for _, effect := range c.done[zxid] {
		c.add(view{effect.Path, effect.Type == eventChildren}, zxid, effect.Type == eventCreated)
	}
}

// effects gives the events that a write causes; without a result all that it can cause, a sequential create's under the
// prefix of its name.
func effects(asked *operation, result *Result) []Record {
	var events []Record
	ops, results := []Op{*asked.Op}, []Result{}
	if result != nil {
		results = append(results, *result)
	}
	if asked.Name == "multi" {
		ops, results = asked.Ops, nil
		if result != nil {
			results = result.Results
		}
	}
	for i, op := range ops {
		target := op.Path
		if i < len(results) && results[i].Err != 0 {
			return nil
		}
		if i < len(results) && results[i].Path != "" {
			target = results[i].Path
		}
		switch {
		case strings.HasPrefix(op.Name, "create"):
			events = append(events, Record{Type: eventCreated, Path: target}, Record{Type: eventChildren, Path: path.Dir(target)})
		case op.Name == "setData":
			events = append(events, Record{Type: eventChanged, Path: target})
		case op.Name == "delete":
			events = append(events, Record{Type: eventDeleted, Path: target}, Record{Type: eventChildren, Path: path.Dir(target)})
		}
	}
	return events
}

// collectStats: a stat tells when its znode was made and last changed.
func (c *changes) collectStats(asked *operation) {
	if asked.result == nil || asked.result.Stat == nil {
		return
	}
	stat, of := asked.result.Stat, asked.Path
	if asked.result.Path != "" {
		of = asked.result.Path
	}
	c.add(view{of, false}, stat.Czxid, true)
	c.add(view{of, false}, stat.Mzxid, stat.Mzxid == stat.Czxid)
	if stat.Pzxid != stat.Czxid {
		c.add(view{of, true}, stat.Pzxid, false)
	}
}

// between gives the certain changes with after < zxid <= upTo.
func (c *changes) between(of view, after, upTo int64) []change {
	all := c.certain[of]
	first := sort.Search(len(all), func(i int) bool { return all[i].zxid > after })
	last := sort.Search(len(all), func(i int) bool { return all[i].zxid > upTo })
	if first >= last {
		return nil
	}
	return all[first:last]
}

// explains tells whether an event with a zxid may have been caused.
func (c *changes) explains(event *Record) bool {
	if done, known := c.done[event.Zxid]; known {
		return slices.ContainsFunc(done, func(e Record) bool { return e.Type == event.Type && e.Path == event.Path })
	}
	if event.Type == eventDeleted || event.Type == eventChildren {
		return true // a session may have ended
	}
	return c.maybe(view{event.Path, false}, event.At)
}

// times tells how often an event may come to a persistent watch: a multi may cause it several times, and a session that
// ends takes all its ephemerals with it.
func (c *changes) times(seen *Record) int {
	done, known := c.done[seen.Zxid]
	if !known && seen.Type == eventChildren {
		return math.MaxInt
	}
	if !known {
		return max(1, c.most[event{seen.Type, seen.Path}])
	}
	count := 0
	for _, effect := range done {
		if effect.Type == seen.Type && effect.Path == seen.Path {
			count++
		}
	}
	return count
}

// maybe tells whether a write without answer, sent before `at`, may have touched the view.
func (c *changes) maybe(of view, at int64) bool {
	for _, call := range c.perhaps[of] {
		if call < at {
			return true
		}
	}
	// The name of a sequential znode without answer is not known to the end.
	if cut := len(of.path) - 10; cut > 0 && !of.children {
		for _, call := range c.perhaps[view{of.path[:cut], false}] {
			if call < at {
				return true
			}
		}
	}
	return false
}

// checkWatches follows the watches of every connection.
func checkWatches(s *story) int {
	c := collect(s)
	events := 0
	for _, link := range s.order {
		w := &watcher{story: s, changes: c, link: link, once: map[view]int64{}, always: map[watchAll]int64{}, seen: map[string]int{}}
		for _, next := range link.arrivals {
			if next.operation != nil {
				w.reply(next)
			} else {
				events++
				w.event(next.Record)
			}
		}
	}
	return events
}

// watchAll is a persistent watch, or a recursive one.
type watchAll struct {
	path      string
	recursive bool
}

// watcher is the watches of one connection: what is registered, and the zxid up to which the view is known.
type watcher struct {
	story   *story
	changes *changes
	link    *connection
	once    map[view]int64
	always  map[watchAll]int64
	seen    map[string]int // events with zxid
	newest  int64          // zxid of the last event
	caught  []Record       // events without zxid that wait for the reply to setWatches
}

func (w *watcher) violate(rule, format string, arguments ...any) {
	w.story.violate(rule, "session 0x%x link %d: %s", w.link.session, w.link.number, fmt.Sprintf(format, arguments...))
}

func (w *watcher) event(event *Record) {
	if event.Zxid <= 0 {
		w.caught = append(w.caught, *event)
		return
	}
	key := fmt.Sprint(event.Zxid, event.Type, event.Path)
	text := fmt.Sprintf("event %d of %s with zxid 0x%x at %.6f s", event.Type, event.Path, event.Zxid, seconds(event.At))
	w.seen[key]++
	if w.seen[key] > max(1, w.changes.times(event)) {
		w.violate("watch-doubled", "%s came %d times", text, w.seen[key])
	}
	if event.Zxid < w.newest {
		w.violate("watch-order", "%s came after one with zxid 0x%x", text, w.newest)
	}
	w.newest = event.Zxid
	if !w.changes.explains(event) {
		w.violate("watch-spurious", "%s: nothing caused it", text)
	}
	if !w.consume(event) {
		w.violate("watch-spurious", "%s: no watch was set", text)
	}
}

// consume takes the one-shot watches away that an event ends; false when nothing asked for it.
func (w *watcher) consume(event *Record) bool {
	wanted := false
	take := func(of view) {
		if since, set := w.once[of]; set {
			wanted = true
			delete(w.once, of)
			if event.Zxid <= since {
				w.violate("watch-spurious", "event %d of %s with zxid 0x%x, its watch had seen zxid 0x%x", event.Type, event.Path, event.Zxid, since)
			}
		}
	}
	if event.Type != eventChildren {
		take(view{event.Path, false})
	}
	if event.Type == eventChildren || event.Type == eventDeleted {
		take(view{event.Path, true})
	}
	for watch := range w.always {
		wanted = wanted || watch.covers(view{event.Path, event.Type == eventChildren})
	}
	return wanted
}

func (a watchAll) covers(of view) bool {
	if !a.recursive {
		return a.path == of.path
	}
	return !of.children && (a.path == of.path || strings.HasPrefix(of.path, strings.TrimSuffix(a.path, "/")+"/"))
}

// reply: what it reflects must have been announced before; then it may set watches itself.
func (w *watcher) reply(next arrival) {
	asked := next.operation
	if next.Zxid > 0 {
		w.overdue(next)
	}
	if strings.HasPrefix(asked.Name, "setWatches") {
		w.restore(next)
		return
	}
	if len(w.caught) > 0 {
		w.violate("watch-spurious", "event %d of %s without zxid and without setWatches", w.caught[0].Type, w.caught[0].Path)
		w.caught = nil
	}
	switch {
	case asked.Name == "addWatch" && next.Err == 0:
		w.always[watchAll{asked.Path, asked.Mode == 1}] = next.Zxid
	case asked.Name == "removeWatches" && next.Err == 0:
		w.remove(asked)
	case !asked.Watch:
	case asked.Name == "exists" && (next.Err == 0 || next.Err == errNoNode), asked.Name == "getData" && next.Err == 0:
		w.set(view{asked.Path, false}, next.Zxid)
	case next.Err == 0:
		w.set(view{asked.Path, true}, next.Zxid)
	}
}

func (w *watcher) set(of view, zxid int64) {
	if _, set := w.once[of]; !set {
		w.once[of] = zxid
	}
}

func (w *watcher) remove(asked *operation) {
	if asked.Mode == 2 || asked.Mode == 3 {
		delete(w.once, view{asked.Path, false})
	}
	if asked.Mode == 1 || asked.Mode == 3 {
		delete(w.once, view{asked.Path, true})
	}
	if asked.Mode == 4 || asked.Mode == 3 {
		delete(w.always, watchAll{asked.Path, false})
	}
	if asked.Mode == 5 || asked.Mode == 3 {
		delete(w.always, watchAll{asked.Path, true})
	}
}

// overdue: no reply may reflect a change that a watch should have told of before.
func (w *watcher) overdue(next arrival) {
	for of, since := range w.once {
		if missed := w.changes.between(of, since, next.Zxid); len(missed) > 0 {
			w.violate("watch-lost", "the watch on %s (children %v), set at zxid 0x%x, did not tell of zxid 0x%x before %v",
				of.path, of.children, since, missed[0].zxid, next.operation)
			delete(w.once, of)
			continue
		}
		w.once[of] = max(since, next.Zxid)
	}
	for watch, since := range w.always {
		all := w.changes.all
		for i := sort.Search(len(all), func(i int) bool { return all[i].zxid > since }); i < len(all) && all[i].zxid <= next.Zxid; i++ {
			if watch.covers(all[i].view) && !w.announced(all[i]) {
				w.violate("watch-lost", "the watch on %s (recursive %v) did not tell of %s (children %v) at zxid 0x%x before %v",
					watch.path, watch.recursive, all[i].view.path, all[i].view.children, all[i].zxid, next.operation)
			}
		}
		w.always[watch] = max(since, next.Zxid)
	}
}

func (w *watcher) announced(happened happening) bool {
	kinds := []int32{eventCreated, eventDeleted, eventChanged}
	if happened.view.children {
		kinds = []int32{eventChildren}
	}
	return slices.ContainsFunc(kinds, func(kind int32) bool { return w.seen[fmt.Sprint(happened.zxid, kind, happened.view.path)] > 0 })
}

// restore: setWatches tells of what happened since its zxid, and sets the other watches again.
func (w *watcher) restore(next arrival) {
	asked := next.operation
	lists := append(slices.Clone(asked.Lists), nil, nil, nil, nil, nil)
	for kind, paths := range lists[:3] {
		for _, target := range paths {
			of := view{target, kind == 2}
			caught := slices.IndexFunc(w.caught, func(e Record) bool { return e.Path == target && fits(kind, e.Type) })
			if caught < 0 {
				w.quiet(of, kind == 1, asked, next)
				w.set(of, next.Zxid)
				continue
			}
			w.justified(of, kind, w.caught[caught], asked)
			w.caught = slices.Delete(w.caught, caught, caught+1)
		}
	}
	if len(w.caught) > 0 {
		w.violate("watch-spurious", "event %d of %s without zxid, not asked for by %v", w.caught[0].Type, w.caught[0].Path, asked)
		w.caught = nil
	}
	for kind, paths := range lists[3:5] {
		for _, target := range paths {
			w.always[watchAll{target, kind == 1}] = next.Zxid
		}
	}
}

// fits tells whether an event of this type can come for a path of a list of setWatches (0 data, 1 exist, 2 child).
func fits(kind int, event int32) bool {
	switch kind {
	case 0:
		return event == eventDeleted || event == eventChanged
	case 1:
		return event == eventCreated
	}
	return event == eventDeleted || event == eventChildren
}

// quiet: no event came for a watch of setWatches, so nothing may be known to have happened.
func (w *watcher) quiet(of view, exist bool, asked *operation, next arrival) {
	for _, missed := range w.changes.between(of, asked.Zxid, next.Zxid) {
		// One that waits for a znode is told only that there is one now, which may have gone again.
		if exist && !w.stands(of, missed, next) {
			continue
		}
		w.violate("watch-lost", "setWatches from zxid 0x%x did not tell of %s (children %v) at zxid 0x%x", asked.Zxid, of.path, of.children, missed.zxid)
		return
	}
}

// stands tells whether a created znode is certain to be there still when setWatches was answered.
func (w *watcher) stands(of view, made change, next arrival) bool {
	if !made.create || w.changes.maybe(of, next.At) {
		return false
	}
	later := w.changes.between(of, made.zxid, next.Zxid)
	return len(later) == 0 && !w.isEphemeral(of.path)
}

func (w *watcher) isEphemeral(target string) bool {
	return slices.ContainsFunc(w.story.operations, func(o *operation) bool {
		return slices.ContainsFunc(append(o.Ops, *o.Op), func(op Op) bool { return op.Path == target && op.Flags&flagEphemeral != 0 })
	})
}

// justified: a catch-up event needs something that happened after the zxid of setWatches.
func (w *watcher) justified(of view, kind int, event Record, asked *operation) {
	if kind == 1 || event.Type == eventDeleted {
		return // tells what is, not what happened
	}
	if len(w.changes.between(of, asked.Zxid, forever)) == 0 && !w.changes.maybe(of, event.At) && !of.children {
		w.violate("watch-spurious", "setWatches from zxid 0x%x told of %s (event %d), where nothing happened", asked.Zxid, of.path, event.Type)
	}
}
