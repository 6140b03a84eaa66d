//! The text of a time → seconds since 1970-01-01 00:00 UTC.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::cells::number;
use crate::schema::TimeFormat;

/// Seconds since 1970; NaN is missing.
pub(super) fn seconds(cell: &[u8], format: TimeFormat) -> Result<f64, &'static str> {
    let cell = cell.trim_ascii();
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    match format {
        TimeFormat::YearToHour => year_to_hour(cell).ok_or("a time as YYMMDDHH"),
        TimeFormat::Iso => iso(cell).ok_or("a time as 2014-10-21T13:05:59"),
        TimeFormat::Unix => unix(cell, 1.0).ok_or("seconds since 1970"),
        TimeFormat::UnixMilliseconds => unix(cell, 1000.0).ok_or("milliseconds since 1970"),
    }
}

fn year_to_hour(cell: &[u8]) -> Option<f64> {
    let digits: &[u8; 8] = cell.try_into().ok()?;
    let pair = |position: usize| {
        let (tens, ones) = (digits[position].wrapping_sub(b'0'), digits[position + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| u32::from(tens * 10 + ones))
    };
    let date = NaiveDate::from_ymd_opt(2000 + i32::try_from(pair(0)?).ok()?, pair(2)?, pair(4)?)?;
    Some(since_1970(date.and_hms_opt(pair(6)?, 0, 0)?))
}

fn iso(cell: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(cell).ok()?;
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let (time, ahead_seconds) = without_zone(time)?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(time, "%H:%M"));
    Some(since_1970(date.and_time(time.ok()?)) - ahead_seconds)
}

/// A time of day without the zone behind it (`Z`, `+02`, `+0200` or `+02:00`), and how many seconds that is ahead of UTC.
fn without_zone(time: &str) -> Option<(&str, f64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0.0));
    }
    let Some((time, zone)) = time.rfind(['+', '-']).map(|sign| time.split_at(sign)) else { return Some((time, 0.0)) };
    let (sign, zone) = zone.split_at(1);
    let (hours, minutes) = match zone.split_once(':') {
        Some(parts) => parts,
        None if zone.len() == 4 => zone.split_at_checked(2)?,
        None => (zone, "00"),
    };
    let pair = |text: &str, most: u32| {
        let is_pair = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| is_pair && *number <= most)
    };
    let minutes = 60 * pair(hours, 23)? + pair(minutes, 59)?;
    let seconds = f64::from(60 * minutes);
    Some((time, if sign == "-" { -seconds } else { seconds }))
}

fn since_1970(time: NaiveDateTime) -> f64 {
    time.and_utc().timestamp() as f64
}

fn unix(cell: &[u8], in_a_second: f64) -> Option<f64> {
    // the years that a calendar of whole seconds can name
    const LARGEST_SECONDS: f64 = 8e12;
    let seconds = number(cell).ok()? / in_a_second;
    (seconds.abs() < LARGEST_SECONDS).then(|| seconds.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_format() {
        for (text, format, expected) in [
            ("14102100", TimeFormat::YearToHour, 1_413_849_600.0),
            ("14102113", TimeFormat::YearToHour, 1_413_896_400.0),
            ("2014-10-21", TimeFormat::Iso, 1_413_849_600.0),
            ("2014-10-21T13:00:00", TimeFormat::Iso, 1_413_896_400.0),
            ("2014-10-21 13:00", TimeFormat::Iso, 1_413_896_400.0),
            ("2014-10-21T13:00:00.250Z", TimeFormat::Iso, 1_413_896_400.0),
            ("2014-10-21 13:00:00.250001+00:00", TimeFormat::Iso, 1_413_896_400.0),
            ("2014-10-21T15:00:00+02:00", TimeFormat::Iso, 1_413_896_400.0),
            ("2014-10-21 07:30-0530", TimeFormat::Iso, 1_413_896_400.0),
            ("2014-10-21 15:00+02", TimeFormat::Iso, 1_413_896_400.0),
            ("1413896400", TimeFormat::Unix, 1_413_896_400.0),
            ("1413896400123", TimeFormat::UnixMilliseconds, 1_413_896_400.0),
            ("-1", TimeFormat::Unix, -1.0),
        ] {
            assert_eq!(seconds(text.as_bytes(), format), Ok(expected), "{text}");
        }
        assert!(seconds(b" ", TimeFormat::Iso).unwrap().is_nan());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, format) in [
            ("14132100", TimeFormat::YearToHour),
            ("14102124", TimeFormat::YearToHour),
            ("1410210", TimeFormat::YearToHour),
            ("1410210x", TimeFormat::YearToHour),
            ("2014-02-30", TimeFormat::Iso),
            ("21.10.2014", TimeFormat::Iso),
            ("2014-10-21T13:00:00+24:00", TimeFormat::Iso),
            ("2014-10-21T13:00:00+2", TimeFormat::Iso),
            ("2014-10-21T13:00:00+02:0é", TimeFormat::Iso),
            ("2014-10-21T13:00:00+", TimeFormat::Iso),
            ("1e300", TimeFormat::Unix),
            ("now", TimeFormat::UnixMilliseconds),
        ] {
            assert!(seconds(text.as_bytes(), format).is_err(), "{text}");
        }
    }
}
