//! Every fuzz target for a few seconds: over the corpus, and over mutations of it that a printed seed decides on.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use paddock_fuzz::TARGETS;

/// How long the mutations of one target are tried.
const TRIED: Duration = Duration::from_millis(700);
/// Longest input.
const BYTES_MAX: usize = 4096;

/// A small generator of numbers: what is needed is that the seed says all.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&dir).expect("every target has a corpus").map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

/// One input from two others: flipped, cut, repeated, spliced, with numbers that are at a limit.
fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    const ODD: [&[u8]; 6] =
        [&[0xff; 4], &[0x7f, 0xff, 0xff, 0xff], &[0x80, 0, 0, 0], &[0; 4], &[0, 0, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xfe]];
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len());
        match random.below(6) {
            0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            1 if !input.is_empty() => input[at] = random.next() as u8,
            2 => input.truncate(at),
            3 => {
                let other = &corpus[random.below(corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len())..]);
            }
            4 => {
                let odd = ODD[random.below(ODD.len())];
                input.splice(at..input.len().min(at + odd.len()), odd.iter().copied());
            }
            _ => {
                let repeated = input[at..input.len().min(at + 64)].to_vec();
                input.splice(at..at, repeated);
            }
        }
    }
    input.truncate(BYTES_MAX);
    input
}

/// Says which input it was when a target panics.
struct Tell<'a>(&'a str, &'a [u8]);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("target {} failed on {hex}", self.0);
        }
    }
}

#[test]
fn no_target_fails_on_the_corpus_or_on_mutations_of_it() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let seed = env::var("FUZZ_SEED").map_or(clock | 1, |seed| seed.parse().expect("FUZZ_SEED is a number"));
    println!("FUZZ_SEED={seed}");
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        for input in &corpus {
            let _tell = Tell(name, input);
            target(input);
        }
        let mut random = Random(seed);
        let (end, mut count) = (Instant::now() + TRIED, 0);
        while Instant::now() < end {
            let input = mutate(&mut random, &corpus);
            let _tell = Tell(name, &input);
            target(&input);
            count += 1;
        }
        println!("{name}: {} inputs of the corpus, {count} mutations", corpus.len());
    }
}
