// Chaos loads servers with real clients through a tap that writes down every frame, and checks such histories.
//
//	chaos load  -servers HOST:PORT,… -history FILE …   clients of go-zookeeper, and gates of the tap for others
//	chaos check -out FOLDER FILE                       one line per violation, then a summary as JSON; -ensemble BOUND
//	                                                   for the history of several servers, -java those whose syncs may be behind, -slept which were stopped
//	chaos soak  -servers HOST:PORT,… …                 many sessions with churn; no history
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func fatal(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "chaos: "+format+"\n", arguments...)
	os.Exit(2)
}

func main() {
	commands := map[string]func([]string){"load": load, "check": check, "soak": soak}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fatal("load, check or soak expected")
	}
	commands[os.Args[1]](os.Args[2:])
}

// summary is the last line of `check`.
type summary struct {
	Operations   int     `json:"operations"`
	Acknowledged int     `json:"acknowledged"` // writes that succeeded
	Unknown      int     `json:"unknown"`      // operations without answer
	Events       int     `json:"events"`
	Sessions     int     `json:"sessions"`
	Links        int     `json:"links"`
	Families     int     `json:"families"`
	Syncs        int     `json:"syncs"`   // answered
	Stalest      float64 `json:"stalest"` // seconds by which a read was behind what had been acknowledged
	Violations   int     `json:"violations"`
	Seconds      float64 `json:"seconds"`
}

// examine runs all checks over a history. `bound` is 0 for a single server; of an ensemble it is for how long a server may go on
// with its clients after the others have left it behind.
func examine(records []Record, folder string, bound time.Duration, java javas) (*story, summary) {
	began := time.Now()
	s := tell(records)
	s.bound, s.javas = bound.Nanoseconds(), java
	checkZxids(s)
	checkSessions(s)
	checkSequences(s)
	sum := summary{Operations: len(s.operations), Sessions: len(s.sessions), Links: len(s.order)}
	sum.Stalest = seconds(checkStaleness(s))
	sum.Events = checkWatches(s)
	sum.Families = checkFamilies(s, folder)
	for _, asked := range s.operations {
		if asked.reply == nil {
			sum.Unknown++
		} else if asked.Name == "sync" {
			sum.Syncs++
		} else if writes[asked.Name] && asked.reply.Err == 0 {
			sum.Acknowledged++
		}
	}
	sum.Violations, sum.Seconds = len(s.violations), time.Since(began).Seconds()
	return s, sum
}

func check(arguments []string) {
	flags := flag.NewFlagSet("check", flag.ExitOnError)
	folder := flags.String("out", ".", "folder for the pictures of what has no order")
	bound := flags.Duration("ensemble", 0, "the history is that of several servers, and this is how long one may serve while it is cut off")
	java := flags.String("java", "", "addresses of Java servers, separated by commas: their syncs may be behind")
	slept := flags.String("slept", "", "those of them that were stopped and woke: they refuse sessions that live")
	asleep := flags.Duration("asleep", 0, "and for how long at most: what waited for them is read from the past")
	most := flags.Int("most", 20, "violations to print")
	flags.Parse(arguments)
	if flags.NArg() != 1 {
		fatal("one history expected")
	}
	records, err := readHistory(flags.Arg(0))
	if err != nil {
		fatal("%v", err)
	}
	s, sum := examine(records, *folder, *bound, javas{list(*java), list(*slept), asleep.Nanoseconds()})
	for _, found := range s.violations[:min(*most, len(s.violations))] {
		fmt.Printf("violation %s: %s\n", found.Rule, found.Text)
	}
	line, _ := json.Marshal(sum)
	fmt.Println(string(line))
	if sum.Violations > 0 {
		os.Exit(1)
	}
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

func splitServers(line string) []string {
	servers := strings.Split(line, ",")
	if line == "" {
		fatal("-servers expected")
	}
	return servers
}
