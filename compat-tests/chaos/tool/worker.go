package main

import (
	"fmt"
	"math/rand"
	"path"
	"time"

	"github.com/go-zookeeper/zk"
)

// A family has these fixed children; the others are sequential.
var children = []string{"a", "b", "c", "d", "e"}

// A family with more children gets none added and some taken away.
const childrenMax = 24

// worker sends one random operation after the other over a session that it may share.
type worker struct {
	*yard
	conn     *zk.Conn
	random   *rand.Rand
	name     string
	count    int
	versions map[string]int32
	made     []string
}

// chance is an operation with its weight.
type chance struct {
	weight int
	do     func(*worker, string)
}

var chances = []chance{
	{14, (*worker).set},
	{14, (*worker).create},
	{10, (*worker).remove},
	{14, (*worker).get},
	{8, (*worker).exists},
	{8, (*worker).list},
	{10, (*worker).multi},
	{12, (*worker).sequential},
	{8, (*worker).removeMade},
	{2, (*worker).sync},
	{6, (*worker).fresh},
}

func (w *worker) run() {
	for !w.isOver() {
		w.act()
	}
}

// act does one operation, and waits a little.
func (w *worker) act() {
	total := 0
	for _, c := range chances {
		total += c.weight
	}
	drawn := w.random.Intn(total)
	for _, c := range chances {
		if drawn -= c.weight; drawn < 0 {
			c.do(w, w.yard.family(w.random.Intn(w.families)))
			break
		}
	}
	time.Sleep(time.Duration(w.random.Int63n(int64(w.pause))))
}

func (w *worker) child(family string) string {
	return family + "/" + children[w.random.Intn(len(children))]
}

// data is different for every write.
func (w *worker) data() []byte {
	w.count++
	return []byte(fmt.Sprintf("%s.%d", w.name, w.count))
}

func (w *worker) saw(target string, stat *zk.Stat, err error) {
	if err == nil && stat != nil {
		w.versions[target] = stat.Version
	}
}

// version is any, or the last one that this worker saw.
func (w *worker) version(target string) int32 {
	if known, found := w.versions[target]; found && w.random.Intn(2) == 0 {
		return known
	}
	return -1
}

func (w *worker) set(family string) {
	target := w.child(family)
	if w.random.Intn(8) == 0 {
		target = family
	}
	stat, err := w.conn.Set(target, w.data(), w.version(target))
	w.saw(target, stat, err)
}

func (w *worker) create(family string) {
	target, acl := w.child(family), zk.WorldACL(zk.PermAll)
	switch w.random.Intn(6) {
	case 0, 1:
		w.conn.Create(target, w.data(), 0, acl)
	case 2, 3:
		w.conn.Create(target, w.data(), zk.FlagEphemeral, acl)
	case 4:
		w.conn.CreateContainer(target, w.data(), zk.FlagTTL, acl)
	default:
		w.conn.CreateTTL(target, w.data(), flagTTL, acl, time.Hour)
	}
}

func (w *worker) sequential(family string) {
	if len(w.made) >= 4 {
		w.removeMade(family)
		return
	}
	names, _, err := w.conn.Children(family)
	if err != nil || len(names) > childrenMax {
		if err == nil {
			w.conn.Delete(family+"/"+names[w.random.Intn(len(names))], -1)
		}
		return
	}
	flags := []int32{flagSequential, flagEphemeralSequential}[w.random.Intn(2)]
	if made, err := w.conn.Create(family+"/s-", w.data(), flags, zk.WorldACL(zk.PermAll)); err == nil {
		w.made = append(w.made, made)
	}
}

func (w *worker) removeMade(string) {
	if len(w.made) > 0 {
		w.conn.Delete(w.made[0], -1)
		w.made = w.made[1:]
	}
}

func (w *worker) remove(family string) {
	target := w.child(family)
	w.conn.Delete(target, w.version(target))
}

func (w *worker) get(family string) {
	target := w.child(family)
	var stat *zk.Stat
	var err error
	if w.random.Intn(3) == 0 {
		_, stat, _, err = w.conn.GetW(target)
	} else {
		_, stat, err = w.conn.Get(target)
	}
	w.saw(target, stat, err)
}

func (w *worker) exists(family string) {
	target := w.child(family)
	if w.random.Intn(2) == 0 {
		w.conn.ExistsW(target)
	} else {
		w.conn.Exists([]string{target, family}[w.random.Intn(2)])
	}
}

func (w *worker) list(family string) {
	if w.random.Intn(3) == 0 {
		w.conn.ChildrenW(family)
	} else {
		w.conn.Children(family)
	}
}

func (w *worker) sync(family string) { w.conn.Sync(family) }

// fresh reads what had been acknowledged to anybody before, over whatever server.
func (w *worker) fresh(family string) {
	if _, err := w.conn.Sync(family); err == nil {
		w.get(family)
	}
}

// multi does two to four operations on one family; half of them are likely to fail as a whole.
func (w *worker) multi(family string) {
	acl := zk.WorldACL(zk.PermAll)
	var ops []any
	for count := 2 + w.random.Intn(3); count > 0; count-- {
		target := w.child(family)
		switch w.random.Intn(6) {
		case 0:
			ops = append(ops, &zk.CreateRequest{Path: target, Data: w.data(), Acl: acl, Flags: int32(w.random.Intn(2))})
		case 1:
			ops = append(ops, &zk.DeleteRequest{Path: target, Version: -1})
		case 2:
			ops = append(ops, &zk.CheckVersionRequest{Path: family, Version: -1})
		case 3:
			ops = append(ops, &zk.CreateRequest{Path: family + "/m-", Data: w.data(), Acl: acl, Flags: flagEphemeralSequential})
		case 4:
			ops = append(ops, &zk.SetDataRequest{Path: family, Data: w.data(), Version: -1})
		default:
			ops = append(ops, &zk.SetDataRequest{Path: target, Data: w.data(), Version: w.version(target)})
		}
	}
	results, err := w.conn.Multi(ops...)
	for _, result := range results {
		if err == nil && path.Base(result.String)[0] == 'm' {
			w.made = append(w.made, result.String)
		}
	}
}
