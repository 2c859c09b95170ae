//! How long no write was acknowledged: what a failure of servers costs the users.

/// A pause shorter than this, in ns, is not listed.
const LISTED_MIN: u64 = 50_000_000;
/// Pauses that are listed at most; the longest are kept.
const LISTED_MAX: usize = 100;

/// The pauses between acknowledged writes, over all connections together.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    last: Option<u64>,
    /// The longest pause, in ns.
    pub longest: u64,
    /// When pauses began, in ns of the run's clock, and how long they were, in ns; in the order of time.
    pub pauses: Vec<(u64, u64)>,
}

impl Silence {
    /// A write was acknowledged at `now`, or the measurement began or ended.
    pub fn heard(&mut self, now: u64) {
        let Some(last) = self.last.replace(now) else { return };
        let pause = now.saturating_sub(last);
        self.longest = self.longest.max(pause);
        if pause >= LISTED_MIN {
            self.pauses.push((last, pause));
            self.drop_shortest();
        }
    }

    fn drop_shortest(&mut self) {
        if self.pauses.len() > LISTED_MAX {
            let shortest = (0..self.pauses.len()).min_by_key(|&index| self.pauses[index].1);
            self.pauses.remove(shortest.expect("there are pauses"));
        }
    }

    /// Adds the pauses of another run.
    pub fn merge(&mut self, other: &Self) {
        self.longest = self.longest.max(other.longest);
        for pause in &other.pauses {
            self.pauses.push(*pause);
            self.drop_shortest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_between_neighbours() {
        let mut silence = Silence::default();
        for now in [10, 20, 100_000_020, 100_000_030] {
            silence.heard(now);
        }
        assert_eq!((silence.longest, silence.pauses), (100_000_000, vec![(20, 100_000_000)]));
    }

    #[test]
    fn the_list_is_bounded_and_keeps_the_longest() {
        let mut silence = Silence::default();
        let mut now = 0;
        silence.heard(now);
        for pause in (0..300).map(|index| LISTED_MIN + index) {
            now += pause;
            silence.heard(now);
        }
        assert_eq!(silence.pauses.len(), LISTED_MAX);
        assert!(silence.pauses.iter().all(|(_, pause)| *pause >= LISTED_MIN + 200));
    }
}
