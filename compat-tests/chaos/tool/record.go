package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Kinds of records.
const (
	kindConnect = "connect" // a handshake goes to Server: Session (0: a new one), Timeout, Zxid (last seen)
	kindSession = "session" // its answer: Session (0: refused), Timeout
	kindRequest = "request" // Xid, Op
	kindReply   = "reply"   // Xid, Zxid, Err, Result
	kindEvent   = "event"   // Zxid, Type, Path
	kindClose   = "close"   // the link broke or was ended; nothing comes after it
	kindNote    = "note"    // Text: something the run did
)

const (
	// noteSettled says that every session that was not closed had no request for so long that it has expired.
	noteSettled = "settled"
	// noteRestarted says that every server was killed and started since the note before: nothing is under way any more.
	noteRestarted = "restarted"
)

// Record is one line of a history: a frame as it passed the tap, or a note.
//
// A request is written before it goes on to the server, a reply after it came from there: the interval of an operation is
// at most as long as the client saw it.
type Record struct {
	At      int64   `json:"at"` // nanoseconds since the run began
	Kind    string  `json:"kind"`
	Link    int     `json:"link,omitempty"`
	Server  string  `json:"server,omitempty"` // host:port
	Session int64   `json:"session,omitempty"`
	Timeout int32   `json:"timeout,omitempty"` // milliseconds
	Xid     int32   `json:"xid,omitempty"`
	Zxid    int64   `json:"zxid,omitempty"`
	Err     int32   `json:"err,omitempty"`
	Type    int32   `json:"type,omitempty"`
	Path    string  `json:"path,omitempty"`
	Op      *Op     `json:"op,omitempty"`
	Result  *Result `json:"result,omitempty"`
	Text    string  `json:"text,omitempty"`
}

// Op is a request, or one operation of a multi. What a kind of operation does not have stays zero.
type Op struct {
	Name    string     `json:"name"`
	Path    string     `json:"path,omitempty"`
	Data    string     `json:"data,omitempty"`
	Version int32      `json:"version,omitempty"`
	Flags   int32      `json:"flags,omitempty"`
	TTL     int64      `json:"ttl,omitempty"` // milliseconds
	Watch   bool       `json:"watch,omitempty"`
	Mode    int32      `json:"mode,omitempty"`  // of addWatch; type of removeWatches
	Zxid    int64      `json:"zxid,omitempty"`  // of setWatches: what happened up to it needs no event
	Lists   [][]string `json:"lists,omitempty"` // of setWatches: data, exist, child, persistent, recursive
	Ops     []Op       `json:"ops,omitempty"`
}

// Result is the body of a reply, or one result of a multi, which has its error here.
type Result struct {
	Err     int32    `json:"err,omitempty"`
	Path    string   `json:"path,omitempty"`
	Data    string   `json:"data,omitempty"`
	Names   []string `json:"names,omitempty"`
	Stat    *Stat    `json:"stat,omitempty"`
	Results []Result `json:"results,omitempty"`
}

// Stat is the protocol's, without the times and the length.
type Stat struct {
	Czxid    int64 `json:"czxid"`
	Mzxid    int64 `json:"mzxid"`
	Pzxid    int64 `json:"pzxid"`
	Owner    int64 `json:"owner,omitempty"`
	Version  int32 `json:"version,omitempty"`
	Cversion int32 `json:"cversion,omitempty"`
	Aversion int32 `json:"aversion,omitempty"`
	Children int32 `json:"children,omitempty"`
	Length   int32 `json:"length,omitempty"`
}

// Recorder writes a history to a file, one JSON object per line, in the order of time.
type Recorder struct {
	mutex  sync.Mutex
	file   *os.File
	buffer *bufio.Writer
	lines  *json.Encoder
	began  time.Time
}

func newRecorder(path string) (*Recorder, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	buffer := bufio.NewWriterSize(file, 1<<18)
	return &Recorder{file: file, buffer: buffer, lines: json.NewEncoder(buffer), began: time.Now()}, nil
}

func (r *Recorder) add(record Record) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	record.At = time.Since(r.began).Nanoseconds()
	if err := r.lines.Encode(record); err != nil {
		fatal("history: %v", err)
	}
}

func (r *Recorder) close() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err := r.buffer.Flush(); err != nil {
		fatal("history: %v", err)
	}
	r.file.Close()
}

// readHistory gives all records of a file.
func readHistory(path string) ([]Record, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder := json.NewDecoder(bufio.NewReaderSize(file, 1<<18))
	var records []Record
	for {
		var record Record
		if err := decoder.Decode(&record); err == io.EOF {
			return records, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s, record %d: %w", path, len(records)+1, err)
		}
		records = append(records, record)
	}
}
