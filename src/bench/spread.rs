//! Which key comes next: all alike, or a few hot ones.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

/// The exponent of `zipf` when none is given, the usual one of key-value benchmarks.
const EXPONENT_DEFAULT: f64 = 0.99;

/// How often single keys are used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Spread {
    /// Each key as often as any other.
    Uniform,
    /// Key number k about as often as 1/k to this power, which is above 0 and below 1.
    Zipf(f64),
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "zipf" => Ok(Self::Zipf(EXPONENT_DEFAULT)),
            Some(("zipf", exponent)) => {
                let exponent = exponent.parse().ok().filter(|exponent| *exponent > 0.0 && *exponent < 1.0);
                exponent.map(Self::Zipf).ok_or_else(|| "the exponent of zipf is above 0 and below 1".to_owned())
            }
            _ => Err("not one of uniform, zipf, zipf:EXPONENT".to_owned()),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => write!(f, "uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

/// Draws keys from `0..keys`. A zipf draw takes constant time (Gray et al., "Quickly generating billion-record synthetic databases").
#[derive(Debug)]
pub struct Keys {
    keys: u64,
    zipf: Option<Zipf>,
}

#[derive(Debug)]
struct Zipf {
    exponent: f64,
    alpha: f64,
    eta: f64,
    sum: f64,
}

impl Keys {
    /// Keys from `0..keys`.
    ///
    /// # Panics
    /// When there is no key: the arguments demand at least one.
    #[must_use]
    pub fn new(keys: u64, spread: Spread) -> Self {
        assert!(keys > 0, "a run has at least one key");
        let zipf = match spread {
            Spread::Zipf(exponent) if keys > 2 => Some(Zipf::new(keys, exponent)),
            _ => None,
        };
        Self { keys, zipf }
    }

    /// The next key.
    pub fn draw(&self, random: &mut Rng) -> u64 {
        match &self.zipf {
            None => random.u64(..self.keys),
            Some(zipf) => zipf.draw(random.f64(), self.keys),
        }
    }
}

impl Zipf {
    fn new(keys: u64, exponent: f64) -> Self {
        let sum: f64 = (1..=keys).map(|key| (key as f64).powf(-exponent)).sum();
        let sum_of_two = 1.0 + 0.5_f64.powf(exponent);
        let eta = (1.0 - (2.0 / keys as f64).powf(1.0 - exponent)) / (1.0 - sum_of_two / sum);
        Self { exponent, alpha: 1.0 / (1.0 - exponent), eta, sum }
    }

    fn draw(&self, uniform: f64, keys: u64) -> u64 {
        let scaled = uniform * self.sum;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(self.exponent) {
            return 1;
        }
        let key = (keys as f64 * (self.eta * uniform - self.eta + 1.0).powf(self.alpha)) as u64;
        key.min(keys - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 200_000;

    fn counts(keys: u64, spread: Spread) -> Vec<u64> {
        let (source, mut random) = (Keys::new(keys, spread), Rng::with_seed(7));
        let mut counts = vec![0; keys as usize];
        for _ in 0..DRAWS {
            counts[source.draw(&mut random) as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_uses_all_keys_alike() {
        let counts = counts(100, Spread::Uniform);
        assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn zipf_uses_the_first_keys_most() {
        let counts = counts(1_000, Spread::Zipf(0.99));
        let share = |count: u64| count as f64 / DRAWS as f64;
        let sum: f64 = (1..=1_000).map(|key| f64::from(key).powf(-0.99)).sum();
        assert!((share(counts[0]) - 1.0 / sum).abs() < 0.01, "{}", share(counts[0]));
        assert!((share(counts[1]) - 0.5_f64.powf(0.99) / sum).abs() < 0.01, "{}", share(counts[1]));
        let (hot, cold): (u64, u64) = (counts[..100].iter().sum(), counts[900..].iter().sum());
        assert!(hot > 20 * cold && cold > 0, "{hot} {cold}");
    }

    #[test]
    fn few_keys_are_all_drawn() {
        for keys in 1..=3 {
            assert!(counts(keys, Spread::Zipf(0.5)).iter().all(|count| *count > 1_000));
        }
    }

    #[test]
    fn spreads_are_parsed() {
        assert_eq!("zipf:0.5".parse(), Ok(Spread::Zipf(0.5)));
        assert_eq!("uniform".parse(), Ok(Spread::Uniform));
        for text in ["zipf:1", "zipf:0", "zipf:x", "normal", "uniform:1"] {
            assert!(text.parse::<Spread>().is_err(), "{text}");
        }
    }
}
