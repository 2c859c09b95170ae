//! The forms a value can have: how Java reads numbers and booleans, strictly for the parser's own keys, leniently for system properties.

use super::error::Reason;

/// What is to be done about a value that is not good.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// Stop the start.
    Refuse(Reason),
    /// Keep the default and say so, as Java does without saying so.
    Keep(Reason),
    /// The value was taken, but the operator should know something.
    Taken(String),
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::Refuse(reason)
    }
}

/// What a setter answers.
pub(super) type Outcome = Result<(), Fault>;

/// `Integer.parseInt`: an optional sign and decimal digits, within the range of an `int`.
///
/// # Errors
/// Not a number, or one that an `int` does not hold.
pub(super) fn parse_int(value: &str) -> Result<i32, Reason> {
    let wide = parse_long(value)?;
    i32::try_from(wide).map_err(|_| Reason::OutOfRange { min: i32::MIN.into(), max: i32::MAX.into() })
}

/// `Long.parseLong`.
///
/// # Errors
/// Not a number, or one that a `long` does not hold.
pub(super) fn parse_long(value: &str) -> Result<i64, Reason> {
    value.parse::<i64>().map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => Reason::OutOfRange { min: i64::MIN, max: i64::MAX },
        _ => Reason::NotANumber,
    })
}

/// A number of the parser's own keys, with its range: anything else stops the start.
///
/// # Errors
/// Not a number, or out of range.
pub(super) fn strict(value: &str, min: i32, max: i32) -> Result<i32, Reason> {
    let number = parse_int(value)?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(Reason::OutOfRange { min: min.into(), max: max.into() }) }
}

/// A boolean of the parser's own keys: `true` or `false` in any case (`QuorumPeerConfig.parseBoolean`).
///
/// # Errors
/// Any other word.
pub(super) fn strict_bool(value: &str) -> Result<bool, Reason> {
    if value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Reason::NotABoolean)
    }
}

/// A number from a system property (`Integer.getInteger`, `Long.getLong`): also `0x1F`, `#1F` and octal `017`.
/// What is not one leaves the default in force.
///
/// # Errors
/// Not a number, or outside `min..=max`: the default is kept.
pub(super) fn decode(value: &str, min: i64, max: i64) -> Result<i64, Fault> {
    let number = decode_long(value).ok_or(Fault::Keep(Reason::NotANumber))?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(Fault::Keep(Reason::OutOfRange { min, max })) }
}

/// [`decode`] for an `int` property where 0 or less means off.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_u32_or_off(value: &str) -> Result<Option<u32>, Fault> {
    let number = decode(value, i32::MIN.into(), i32::MAX.into())?;
    Ok(u32::try_from(number).ok().filter(|number| *number > 0))
}

/// [`decode`] for an `int` property in `min..=i32::MAX`, where `min` is not negative.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_u32(value: &str, min: u32) -> Result<u32, Fault> {
    let number = decode(value, min.into(), i32::MAX.into())?;
    u32::try_from(number).map_err(|_| Fault::Keep(Reason::NotANumber))
}

/// [`decode`] for a `long` property that is not negative.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_u64(value: &str) -> Result<u64, Fault> {
    Ok(decode(value, 0, i64::MAX)?.unsigned_abs())
}

/// [`decode`] for a `long` property where 0 or less means off.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_u64_or_off(value: &str) -> Result<Option<u64>, Fault> {
    let number = decode(value, i64::MIN, i64::MAX)?;
    Ok(u64::try_from(number).ok().filter(|number| *number > 0))
}

/// `Long.decode`.
fn decode_long(value: &str) -> Option<i64> {
    let (negative, digits) = match value.as_bytes().first()? {
        b'-' => (true, &value[1..]),
        b'+' => (false, &value[1..]),
        _ => (false, value),
    };
    let (radix, digits) =
        if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).or_else(|| digits.strip_prefix('#')) {
            (16, hex)
        } else if digits.len() > 1 && digits.starts_with('0') {
            (8, &digits[1..])
        } else {
            (10, digits)
        };
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// A ratio from 0 to 1. Java stops in a static initialiser when it is not a number, so this refuses too.
///
/// # Errors
/// Not a number, or outside 0 to 1.
pub(super) fn ratio(value: &str) -> Result<f64, Fault> {
    let number: f64 = value.parse().map_err(|_| Reason::NotARatio)?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(Reason::NotARatio.into()) }
}

/// A boolean from a system property (`Boolean.getBoolean`): everything but `true` is false. Sets `target` in any case.
///
/// # Errors
/// A word that is neither `true` nor `false` is taken as false, with a remark.
pub(super) fn property_bool(target: &mut bool, value: &str) -> Outcome {
    *target = value.eq_ignore_ascii_case("true");
    if *target || value.eq_ignore_ascii_case("false") {
        Ok(())
    } else {
        Err(Fault::Taken(format!("{value:?} is neither true nor false and counts as false, as in ZooKeeper")))
    }
}
