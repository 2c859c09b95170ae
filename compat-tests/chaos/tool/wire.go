package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
)

// Frames that are longer end the link: no client of ours sends them.
const frameBytesMax = 16 << 20

const (
	pingXid  = -2
	authXid  = -4
	eventXid = -1
)

const (
	errNoNode     = -101
	errBadVersion = -103
	errNodeExists = -110
	errNotEmpty   = -111
	errExpired    = -112
)

const (
	flagEphemeral           = 1
	flagSequential          = 2
	flagEphemeralSequential = 3
	flagContainer           = 4
	flagTTL                 = 5
	flagTTLSequential       = 6
)

var opNames = map[int32]string{
	1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 8: "getChildren", 9: "sync", 11: "ping",
	12: "getChildren2", 13: "check", 14: "multi", 15: "create2", 18: "removeWatches", 19: "createContainer", 21: "createTTL",
	100: "auth", 101: "setWatches", 105: "setWatches2", 106: "addWatch", -11: "closeSession",
}

// writes are the operations that take a zxid of their own, whether they succeed or not.
var writes = map[string]bool{
	"create": true, "create2": true, "createContainer": true, "createTTL": true, "delete": true, "setData": true,
	"multi": true, "closeSession": true,
}

var errShort = errors.New("the frame ends too early")

// reader takes jute values from the front of a frame; after the first error all values are zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(size int) []byte {
	if r.err == nil && (size < 0 || size > len(r.rest)) {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	taken := r.rest[:size]
	r.rest = r.rest[size:]
	return taken
}

func (r *reader) int32() int32 {
	if raw := r.take(4); raw != nil {
		return int32(binary.BigEndian.Uint32(raw))
	}
	return 0
}

func (r *reader) int64() int64 {
	if raw := r.take(8); raw != nil {
		return int64(binary.BigEndian.Uint64(raw))
	}
	return 0
}

func (r *reader) bool() bool {
	raw := r.take(1)
	return raw != nil && raw[0] != 0
}

// text takes a string or a buffer; null reads as empty.
func (r *reader) text() string {
	size := r.int32()
	if size == -1 {
		return ""
	}
	return string(r.take(int(size)))
}

func (r *reader) texts() []string {
	var all []string
	for count := r.int32(); count > 0 && r.err == nil; count-- {
		all = append(all, r.text())
	}
	return all
}

func (r *reader) skipACL() {
	for count := r.int32(); count > 0 && r.err == nil; count-- {
		r.int32()
		r.text()
		r.text()
	}
}

func (r *reader) stat() *Stat {
	s := &Stat{Czxid: r.int64(), Mzxid: r.int64()}
	r.int64()
	r.int64()
	s.Version, s.Cversion, s.Aversion = r.int32(), r.int32(), r.int32()
	s.Owner, s.Length, s.Children, s.Pzxid = r.int64(), r.int32(), r.int32(), r.int64()
	return s
}

// decodeOp reads the body of a request.
func decodeOp(r *reader, code int32) Op {
	op := Op{Name: opNames[code]}
	switch op.Name {
	case "":
		op.Name = fmt.Sprintf("op %d", code)
	case "create", "create2", "createContainer", "createTTL":
		op.Path, op.Data = r.text(), r.text()
		r.skipACL()
		op.Flags = r.int32()
		if op.Name == "createTTL" {
			op.TTL = r.int64()
		}
	case "delete", "check":
		op.Path, op.Version = r.text(), r.int32()
	case "setData":
		op.Path, op.Data, op.Version = r.text(), r.text(), r.int32()
	case "exists", "getData", "getChildren", "getChildren2":
		op.Path, op.Watch = r.text(), r.bool()
	case "sync":
		op.Path = r.text()
	case "addWatch", "removeWatches":
		op.Path, op.Mode = r.text(), r.int32()
	case "setWatches", "setWatches2":
		op.Zxid = r.int64()
		for lists := map[string]int{"setWatches": 3, "setWatches2": 5}[op.Name]; lists > 0; lists-- {
			op.Lists = append(op.Lists, r.texts())
		}
	case "multi":
		for r.err == nil {
			kind, done := r.int32(), r.bool()
			r.int32()
			if done {
				break
			}
			op.Ops = append(op.Ops, decodeOp(r, kind))
		}
	}
	return op
}

// decodeResult reads the body of a reply without error to `name`.
func decodeResult(r *reader, name string) *Result {
	result := &Result{}
	switch name {
	case "create":
		result.Path = r.text()
	case "create2", "createContainer", "createTTL":
		result.Path, result.Stat = r.text(), r.stat()
	case "setData", "exists":
		result.Stat = r.stat()
	case "getData":
		result.Data, result.Stat = r.text(), r.stat()
	case "getChildren":
		result.Names = r.texts()
		sort.Strings(result.Names)
	case "getChildren2":
		result.Names, result.Stat = r.texts(), r.stat()
		sort.Strings(result.Names)
	case "multi":
		for r.err == nil {
			kind, done, code := r.int32(), r.bool(), r.int32()
			if done {
				break
			}
			if kind == -1 {
				result.Results = append(result.Results, Result{Err: r.int32()})
				continue
			}
			sub := Result{}
			if read := decodeResult(r, opNames[kind]); read != nil {
				sub = *read
			}
			sub.Err = code
			result.Results = append(result.Results, sub)
		}
	case "delete", "check":
	default:
		return nil
	}
	return result
}
