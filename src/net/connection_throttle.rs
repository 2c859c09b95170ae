//! The throttle in front of sessions: a token bucket, and beside it the random drops of BLUE (`connection_throttle_*`, `BlueThrottle`).

/// The settings of `connection_throttle_*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleSettings {
    /// Tokens in a full bucket.
    pub tokens: i64,
    /// Ms between refills.
    pub fill_time_ms: i64,
    /// Tokens of a refill.
    pub fill_count: i64,
    /// Tokens that a new session costs.
    pub new_session_weight: i64,
    /// Tokens that a resumed session costs.
    pub renew_session_weight: i64,
    /// The random drops, if they are on.
    pub drops: Option<DropSettings>,
}

/// How the probability of a random drop moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropSettings {
    /// It is moved once in this many ms at most.
    pub freeze_time_ms: i64,
    /// Step up, when the bucket is empty.
    pub increase: f64,
    /// Step down, when no more than `decrease_ratio` of the bucket is missing.
    pub decrease: f64,
    /// Share of the bucket, 0 to 1.
    pub decrease_ratio: f64,
}

/// How full the bucket is, and how probable a random drop.
#[derive(Debug, Default)]
pub(super) struct ConnectionThrottle {
    missing: i64,
    filled_ms: i64,
    drop_probability: f64,
    moved_ms: i64,
}

impl ConnectionThrottle {
    /// Takes tokens if there are enough. `chance` is random, from 0 to 1 (`BlueThrottle.checkLimit`).
    pub(super) fn take(&mut self, settings: &ThrottleSettings, weight: i64, now_ms: i64, chance: f64) -> bool {
        let elapsed_ms = now_ms - self.filled_ms;
        if elapsed_ms > settings.fill_time_ms {
            let refill = elapsed_ms.saturating_mul(settings.fill_count) / settings.fill_time_ms.max(1);
            self.missing = (self.missing - refill).max(0);
            self.filled_ms = now_ms;
        }
        if let Some(drops) = &settings.drops {
            self.move_probability(drops, settings.tokens, now_ms);
            if chance < self.drop_probability {
                return false;
            }
        }
        let granted = settings.tokens - self.missing >= weight;
        if granted {
            self.missing += weight;
        }
        granted
    }

    fn move_probability(&mut self, settings: &DropSettings, tokens: i64, now_ms: i64) {
        if now_ms - self.moved_ms <= settings.freeze_time_ms {
            return;
        }
        self.moved_ms = now_ms;
        if self.missing == tokens {
            self.drop_probability = (self.drop_probability + settings.increase).min(1.0);
        } else if self.missing <= (tokens as f64 * settings.decrease_ratio).round() as i64 {
            self.drop_probability = (self.drop_probability - settings.decrease).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ThrottleSettings =
        ThrottleSettings { tokens: 2, fill_time_ms: 10, fill_count: 1, new_session_weight: 1, renew_session_weight: 1, drops: None };

    #[test]
    fn the_bucket_refills_with_time() {
        let mut throttle = ConnectionThrottle::default();
        let taken: Vec<bool> = [1, 1, 1, 26, 26, 26].iter().map(|&now| throttle.take(&SETTINGS, 1, now, 0.5)).collect();
        assert_eq!(taken, [true, true, false, true, true, false]);
        assert!(!throttle.take(&SETTINGS, 3, 1000, 0.5), "more than the bucket holds");
    }

    #[test]
    fn an_empty_bucket_makes_random_drops_likelier_and_a_full_one_rarer() {
        let drops = DropSettings { freeze_time_ms: 5, increase: 0.5, decrease: 0.25, decrease_ratio: 0.0 };
        let settings = ThrottleSettings { fill_time_ms: 1_000_000, drops: Some(drops), ..SETTINGS };
        let mut throttle = ConnectionThrottle::default();
        assert!(throttle.take(&settings, 2, 1, 0.0), "nothing is dropped at first");
        assert!(!throttle.take(&settings, 0, 10, 0.4), "the bucket is empty: half of all are dropped");
        assert!(throttle.take(&settings, 0, 12, 0.6), "frozen, and lucky");
        throttle.missing = 0;
        assert!(throttle.take(&settings, 0, 20, 0.3), "the bucket is full: a quarter is dropped");
    }
}
