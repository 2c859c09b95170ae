// Scenario for the Go client: scenario SERVER PROXY-CONTROL. Prints `ok STEP` or `FAILED STEP`, in the end `done`.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: scenario SERVER PROXY-CONTROL")
		os.Exit(2)
	}
	b := newBench(os.Args[1], os.Args[2])
	steps := []struct {
		name     string
		function func(*bench)
	}{
		{"create_read_exists", createReadExists},
		{"set_delete_versions", setDeleteVersions},
		{"error_codes", errorCodes},
		{"sequences_and_owners", sequencesAndOwners},
		{"data_watch", dataWatch},
		{"child_watch", childWatch},
		{"exists_watch", existsWatch},
		{"digest_acl", digestACL},
		{"transactions", transactions},
		{"large_and_many", largeAndMany},
		{"contended_lock", contendedLock},
		{"elected_master", electedMaster},
		{"close_is_at_once", closeIsAtOnce},
		{"same_session_after_loss", sameSessionAfterLoss},
		{"watches_after_loss", watchesAfterLoss},
		{"expired_when_cut_long", expiredWhenCutLong},
		{"story", story},
	}
	for _, step := range steps {
		b.step(step.name, step.function)
	}
	fmt.Println("done")
	if b.failed > 0 {
		os.Exit(1)
	}
}
