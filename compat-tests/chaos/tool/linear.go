package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// How long the search may take for one family; without an answer by then the check has failed.
const searchTime = 2 * time.Minute

var familyModel = porcupine.Model{
	Init:              func() any { return &family{} },
	Step:              stepFamily,
	Equal:             equalFamilies,
	Hash:              hashFamily,
	DescribeOperation: func(input, _ any) string { return input.(*step).String() },
	DescribeState:     func(state any) string { return state.(*family).String() },
}

func (s *step) String() string {
	switch {
	case s.ends:
		return "end of the history"
	case s.gone != 0:
		return fmt.Sprintf("end of session 0x%x (zxid 0x%x)", s.gone, s.zxid)
	}
	return s.operation.String()
}

func (f *family) String() string {
	text := fmt.Sprintf("up to zxid 0x%x: %+v", f.last, f.top)
	for i, name := range f.names {
		text += fmt.Sprintf("\n%s %+v", name, *f.nodes[i])
	}
	return text
}

// familyOf gives the top znode /run/family that a path belongs to, "" when it lies above.
func familyOf(target string) string {
	parts := strings.SplitN(target, "/", 4)
	if len(parts) < 3 || parts[2] == "" {
		return ""
	}
	return "/" + parts[1] + "/" + parts[2]
}

// touched gives the family of a request, and whether the model knows its kind.
func touched(asked *operation) (string, bool) {
	switch asked.Name {
	case "create", "create2", "createContainer", "createTTL", "delete", "setData", "exists", "getData", "getChildren", "getChildren2":
		home := familyOf(asked.Path)
		return home, home != ""
	case "multi":
		home := ""
		for _, op := range asked.Ops {
			home = familyOf(op.Path)
		}
		return home, home != ""
	}
	return "", false
}

// checkFamilies searches for each family an order of its operations that a single copy could have followed.
// A family without one leaves a visualisation in `folder`.
func checkFamilies(s *story, folder string) int {
	homes := map[string][]porcupine.Operation{}
	owners := map[string]map[int64]bool{}
	latest, turns, shown := deadlines(s), map[string]int{}, sightings(s)
	for _, asked := range s.operations {
		home, known := touched(asked)
		if !known || asked.session() == 0 {
			continue
		}
		for _, op := range append(asked.Ops, *asked.Op) {
			if op.Path != "" && familyOf(op.Path) != home {
				s.violate("history", "the model has no multi over two families: %v", asked)
			}
			if op.Flags == flagEphemeral || op.Flags == flagEphemeralSequential {
				if owners[home] == nil {
					owners[home] = map[int64]bool{}
				}
				owners[home][asked.session()] = true
			}
		}
		if made, needed := stepOf(asked, latest); needed {
			if open := made.Input.(*step); !open.known {
				key := fmt.Sprint(home, asked.link.number)
				open.turn = turns[key]
				turns[key]++
				shown.tell(open, &made)
			}
			homes[home] = append(homes[home], made)
		}
	}
	for home := range homes {
		for id := range owners[home] {
			homes[home] = append(homes[home], endOf(s, s.sessions[id]))
		}
		homes[home] = append(homes[home], porcupine.Operation{Input: &step{ends: true, known: true}, Call: s.ends + 1, Return: forever})
	}
	if s.ensemble() {
		byZxid(s, homes)
	}
	searchAll(s, homes, folder)
	return len(homes)
}

// stepOf makes a step of a request; a read without answer and what was refused with its session tell nothing.
func stepOf(asked *operation, latest func(*operation) int64) (porcupine.Operation, bool) {
	made := &step{operation: asked, known: asked.reply != nil}
	if made.known {
		made.zxid = asked.reply.Zxid
	} else {
		made.before = latest(asked)
	}
	needed := made.known && asked.reply.Err != errExpired || !made.known && writes[asked.Name]
	return porcupine.Operation{ClientId: asked.link.number, Input: made, Call: asked.call, Return: asked.returned()}, needed
}

// sighting is the first read that shows data, and the zxid of the write that put it there.
type sighting struct{ zxid, at int64 }

// sightings: what was read, by data. Every write of a history has data of its own.
type sightingsByData map[string]sighting

func sightings(s *story) sightingsByData {
	shown := sightingsByData{}
	for _, asked := range s.operations {
		if asked.Name != "getData" || asked.result == nil || asked.result.Data == "" {
			continue
		}
		if first, found := shown[asked.result.Data]; !found || asked.returned() < first.at {
			shown[asked.result.Data] = sighting{asked.result.Stat.Mzxid, asked.returned()}
		}
	}
	return shown
}

// tell: a request without answer whose data was read took effect, and it is known by when and with which zxid.
func (shown sightingsByData) tell(open *step, made *porcupine.Operation) {
	for _, op := range append(open.Ops, *open.Op) {
		if seen, found := shown[op.Data]; found && op.Data != "" && seen.at > made.Call {
			open.zxid, made.Return = seen.zxid, min(made.Return, seen.at)
		}
	}
}

// deadlines gives a function that tells below which zxid a request without answer has its effect, if it has one: the server
// that got it was killed, or its session went on over another connection, before the write with that zxid was sent.
func deadlines(s *story) func(*operation) int64 {
	var sent []*operation
	for _, asked := range s.operations {
		if writes[asked.Name] && asked.reply != nil {
			sent = append(sent, asked)
		}
	}
	return func(asked *operation) int64 {
		over := int64(forever)
		for _, at := range s.restarts {
			if at > asked.call {
				over = min(over, at)
			}
		}
		for _, tried := range s.sessions[asked.session()].attempts {
			if tried.link.number > asked.link.number && !tried.refused {
				over = min(over, tried.at)
			}
		}
		lowest := int64(forever)
		for _, later := range sent {
			if later.call > over {
				lowest = min(lowest, later.reply.Zxid)
			}
		}
		return lowest
	}
}

// endOf is the end of a session: by its own wish, or by expiry, which may come no sooner than its timeout after the last
// request that the server is known to have heard; by the time the session is refused or all have ended it has come.
func endOf(s *story, ended *session) porcupine.Operation {
	end := porcupine.Operation{Call: min(ended.heard+ended.timeout-s.bound, closeCall(s, ended)), Return: s.settled}
	made := &step{gone: ended.id, haunts: true}
	for _, closed := range ended.closes {
		if closed.reply.Err == 0 {
			made.zxid, end.Call, end.Return = closed.reply.Zxid, closed.call, closed.returned()
			made.haunts = false
		}
	}
	for _, tried := range ended.attempts {
		if s.tells(tried) {
			end.Return = min(end.Return, tried.at)
		}
	}
	end.Call = min(end.Call, end.Return)
	made.known = end.Return != forever
	end.Input = made
	return end
}

func searchAll(s *story, homes map[string][]porcupine.Operation, folder string) {
	names := make([]string, 0, len(homes))
	for home := range homes {
		names = append(names, home)
	}
	sort.Strings(names)
	free := make(chan bool, runtime.NumCPU())
	var all sync.WaitGroup
	var mutex sync.Mutex
	for _, home := range names {
		all.Add(1)
		go func() {
			defer all.Done()
			free <- true
			defer func() { <-free }()
			rule, text := search(home, homes[home], folder)
			mutex.Lock()
			defer mutex.Unlock()
			if rule != "" {
				s.violate(rule, "%s", text)
			}
		}()
	}
	all.Wait()
}

func search(home string, operations []porcupine.Operation, folder string) (rule, text string) {
	switch porcupine.CheckOperationsTimeout(familyModel, operations, searchTime) {
	case porcupine.Ok:
		return "", ""
	case porcupine.Unknown:
		return "undecided", fmt.Sprintf("%s: %d operations, no answer within %v", home, len(operations), searchTime)
	}
	shortest := shorten(operations)
	result, details := porcupine.CheckOperationsVerbose(familyModel, shortest, searchTime)
	picture := filepath.Join(folder, path.Base(home)+".html")
	if err := porcupine.VisualizePath(familyModel, details, picture); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	last := shortest[0]
	for _, candidate := range shortest {
		if candidate.Return != forever && candidate.Return >= last.Return {
			last = candidate
		}
	}
	return "linearizability", fmt.Sprintf("%s: no order explains the first %d operations (%v); the last one answered is %v; picture in %s",
		home, len(shortest), result, last.Input, picture)
}

// shorten gives the shortest beginning of a history that still has no order.
func shorten(operations []porcupine.Operation) []porcupine.Operation {
	var times []int64
	for _, made := range operations {
		if made.Return != forever {
			times = append(times, made.Return)
		}
	}
	slices.Sort(times)
	first := sort.Search(len(times), func(i int) bool {
		return porcupine.CheckOperationsTimeout(familyModel, beginning(operations, times[i]), searchTime) == porcupine.Illegal
	})
	if first == len(times) {
		return operations
	}
	return beginning(operations, times[first])
}

// beginning is what was known at a time: what had not been answered by then has no answer.
func beginning(operations []porcupine.Operation, at int64) []porcupine.Operation {
	var kept []porcupine.Operation
	for _, made := range operations {
		was := made.Input.(*step)
		if was.ends {
			made.Call = at + 1
		} else if made.Call > at {
			continue
		} else if made.Return > at {
			if was.operation != nil && !writes[was.Name] {
				continue
			}
			open := *was
			open.known, open.before, open.turn = false, forever, -1
			if open.operation != nil {
				open.zxid = 0
			}
			made.Input, made.Return = &open, forever
		}
		kept = append(kept, made)
	}
	return kept
}
