//! How Java prints the values that the words contain: doubles, dates and socket addresses.

use std::net::{IpAddr, SocketAddr};

/// Rounds half up to four decimals, as ZooKeeper's averages are (`AvgMinMaxCounter.getAvg`). 0 when nothing was counted.
///
/// Java rounds the exact value of the double, and so does Rust's formatting, but to even in the middle. A double lies exactly in the
/// middle only if it is a multiple of 1/32; then scaling it is exact too, as long as the result has less than 53 bits.
pub(crate) fn average(sum: i64, count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    let mean = sum as f64 / count as f64;
    if (mean * 32.0).fract() == 0.0 && mean.abs() < 1e11 {
        return (mean * 10_000.0).round() / 10_000.0;
    }
    format!("{mean:.4}").parse().unwrap_or(mean)
}

/// A double as Java's `Double.toString` prints it: at least one decimal, and an exponent below 0.001 and from ten million up.
pub(crate) fn java_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// A point in time as Java's `Date.toString` prints it in a process whose time zone is UTC: `Tue Nov 24 00:25:03 UTC 2026`.
/// `epoch_ms` is in milliseconds since 1970.
pub(crate) fn java_date(epoch_ms: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = epoch_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_date(days);
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday} {} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}", MONTHS[month])
}

/// Year, month (0 is January) and day of the month, `days` after 1 January 1970, in the Gregorian calendar.
/// Counts from 1 March of year 0, so that the leap day is the last of a year.
fn civil_date(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month_from_march >= 10);
    (year, ((month_from_march + 2) % 12) as usize, day)
}

/// An address as Java's `InetSocketAddress.toString` prints one without a name: `/127.0.0.1:2181`, and since Java 14
/// `/[0:0:0:0:0:0:0:1]:2181`. A v4 address mapped into v6 is printed as v4, since Java makes an `Inet4Address` of it.
pub(crate) fn java_address(address: SocketAddr) -> String {
    let port = address.port();
    match (address.ip().to_canonical(), address) {
        (IpAddr::V4(ip), _) => format!("/{ip}:{port}"),
        (IpAddr::V6(ip), SocketAddr::V6(v6)) if v6.scope_id() != 0 => {
            format!("/[{}%{}]:{port}", groups(ip.segments()), v6.scope_id())
        }
        (IpAddr::V6(ip), _) => format!("/[{}]:{port}", groups(ip.segments())),
    }
}

fn groups(segments: [u16; 8]) -> String {
    segments.map(|segment| format!("{segment:x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_print_as_in_java() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.3333, "0.3333"),
            (2.0625, "2.0625"),
            (0.001, "0.001"),
            (0.0005, "5.0E-4"),
            (0.00049, "4.9E-4"),
            (123_456.75, "123456.75"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.5, "1.23456785E7"),
            (-1e7, "-1.0E7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(java_double(value), text);
        }
    }

    #[test]
    fn averages_have_four_decimals() {
        assert_eq!(java_double(average(0, 0)), "0.0");
        assert_eq!(java_double(average(1, 3)), "0.3333");
        assert_eq!(java_double(average(2, 3)), "0.6667");
        assert_eq!(java_double(average(33, 16)), "2.0625");
        assert_eq!(java_double(average(1, 2000)), "5.0E-4");
        assert_eq!(java_double(average(1, 100_000)), "0.0");
        assert_eq!(java_double(average(1, 32)), "0.0313");
        assert_eq!(java_double(average(-1, 32)), "-0.0313");
        assert_eq!(java_double(average(1_828_004_379_764_573_355, 871)), "2.0987421122440568E15");
        // 0.00245 as a double is a little less than that.
        assert_eq!(java_double(average(49, 20_000)), "0.0024");
    }

    #[test]
    fn dates_print_as_in_java() {
        assert_eq!(java_date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(java_date(1_795_479_903_999), "Tue Nov 24 00:25:03 UTC 2026");
        assert_eq!(java_date(951_782_400_000), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(java_date(951_868_800_000), "Wed Mar 01 00:00:00 UTC 2000");
        assert_eq!(java_date(-1), "Wed Dec 31 23:59:59 UTC 1969");
        assert_eq!(java_date(4_107_542_399_000), "Sun Feb 28 23:59:59 UTC 2100");
        assert_eq!(java_date(4_107_542_400_000), "Mon Mar 01 00:00:00 UTC 2100");
    }

    #[test]
    fn addresses_print_as_in_java() {
        let cases = [
            ("127.0.0.1:45056", "/127.0.0.1:45056"),
            ("[::1]:2181", "/[0:0:0:0:0:0:0:1]:2181"),
            ("[2001:db8::ff]:1", "/[2001:db8:0:0:0:0:0:ff]:1"),
            ("[::ffff:10.1.2.3]:9", "/10.1.2.3:9"),
            ("[fe80::1%2]:2181", "/[fe80:0:0:0:0:0:0:1%2]:2181"),
        ];
        for (text, java) in cases {
            assert_eq!(java_address(text.parse().expect("a literal address")), java);
        }
    }

    proptest! {
        #[test]
        fn doubles_read_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(java_double(value).parse::<f64>().expect("a number"), value);
        }

        #[test]
        fn dates_never_panic(epoch_ms in any::<i64>()) {
            prop_assert!(java_date(epoch_ms).contains(" UTC "));
        }
    }
}
