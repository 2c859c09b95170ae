# make run    builds and starts a server on port 2181, data in ./data
# make run-ensemble  three servers as one ensemble on client ports 2181 to 2183 (FIRST_PORT), data in ./data-ensemble; Ctrl-C stops them
# make test   the one gate: everything that has to hold
# make kills  kills a server under load 300 times and checks every history (20 minutes)
# make ensemble-chaos  ensembles of three and five servers under load and every fault for CHAOS_SECONDS (3600); as root each server has a network namespace
# make compositions  COMPOSITIONS (200) rounds over every composition and leader of three Java and Paddock servers, under load
# make migration  moves an ensemble of Java servers here and back ROUNDS (20) times, under load
# make migration-large  the same once with two million znodes and 10,000 sessions, each step timed
# make soak   2,000 sessions with churn and faults for SOAK_SECONDS (1800): flat memory, nothing left
# make hostile  what hostile clients do, larger than in the gate; HOSTILE=--table compares with the Java server
# make fuzz   every fuzz target for FUZZ_SECONDS (900) under libFuzzer
# make sim    SEEDS (20,000) fresh seeds of the simulation of ensembles of ordering cores
# make sim-replicas  the same for complete replicas with clients, REPLICA_SEEDS (1,000)
# make power-cuts  builds a million images of what a power cut could leave, and recovers each
# make mistakes    makes deliberate mistakes in a copy of the tree: the tests must catch each
# make bench  criterion benches of the hot rooms; BENCH="--bench tree look-up" runs some of them
# make side-by-side  Paddock beside the Java server on the same loads, into benches/RESULTS.md; SIDE_BY_SIDE=--help
# make side-by-side-ensemble  the same for three servers; an observer, a follower that catches up; SIDE_BY_SIDE=--help

CARGO ?= cargo
PADDOCK = target/release/paddock

# Images in each of the three power-cut tests of the long target.
POWER_CUT_IMAGES ?= 400000
SEEDS ?= 20000
REPLICA_SEEDS ?= 1000
BENCH ?=
SIDE_BY_SIDE ?=

.PHONY: run run-ensemble test sim sim-replicas bench side-by-side side-by-side-ensemble power-cuts mistakes build format lint unit docs compat differential-long hostile kills ensemble-chaos compositions migration migration-large soak fuzz fuzz-corpus fmt clean

build:
	$(CARGO) build --release --locked

run: build
	$(PADDOCK) server

run-ensemble: build
	tools/run-ensemble $(PADDOCK)

test: format lint unit docs build compat

format:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

unit:
	$(CARGO) test --workspace --locked

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

# Each stage says itself what it skips and why, and fails in CI where nothing may be skipped.
compat: build
	compat-tests/run

# A million random requests to Java and Paddock; the gate plays 20,000. About half an hour.
differential-long: build
	compat-tests/differential/run --long

HOSTILE ?= --long

hostile: build
	compat-tests/hostile/run $(HOSTILE)

KILLS ?= 300

kills: build
	compat-tests/chaos/run --kills $(KILLS)

ensemble-chaos: build
	compat-tests/chaos/ensemble

COMPOSITIONS ?= 200

compositions: build
	compat-tests/chaos/compositions --rounds $(COMPOSITIONS)

ROUNDS ?= 20

migration: build
	compat-tests/migration/run --rounds $(ROUNDS)

# Three Java servers with heaps of 3 GB; some 2 GB of disk for each member.
migration-large: build
	compat-tests/migration/run --large

soak: build
	compat-tests/chaos/soak

fuzz:
	fuzz/run

fuzz-corpus:
	$(CARGO) run --locked -p paddock-fuzz --example corpus

sim:
	SIM_SEEDS=$(SEEDS) $(CARGO) test --release --locked --test sim -- --nocapture

sim-replicas:
	REPLICA_SEEDS=$(REPLICA_SEEDS) $(CARGO) test --release --locked --test replicas -- --nocapture

power-cuts:
	POWER_CUT_IMAGES=$(POWER_CUT_IMAGES) $(CARGO) test --release --locked --test recovery power_cuts -- --nocapture

mistakes:
	tests/mistakes/run

bench:
	$(CARGO) bench --locked $(BENCH)

side-by-side: build
	benches/side-by-side $(SIDE_BY_SIDE)

side-by-side-ensemble: build
	benches/ensemble $(SIDE_BY_SIDE)

fmt:
	$(CARGO) fmt --all

clean:
	$(CARGO) clean
