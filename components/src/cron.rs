//! Cron schedules, as daprd 1.18 reads them: five fields or six with seconds in front, descriptors, `@every`.
//!
//! Fields take `*`, `?`, numbers, names of months and weekdays, ranges, lists and steps (`5/15` means from 5 to the end).
//! When both the day of the month and the weekday are restricted, either is enough. `TZ=` or `CRON_TZ=` in front names a
//! time zone; without it the local one counts.

use std::time::Duration;

use chrono::{
    DateTime, Datelike, Days, Local, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;

use crate::go;
use crate::metadata::parse_go_duration;

/// A schedule that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Every(Duration),
    At(Fields, Zone),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Local,
    Named(Tz),
}

/// One bit for each value that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fields {
    second: u64,
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
}

/// Set in a field that takes every value.
const STAR: u64 = 1 << 63;

/// A schedule that does not match within this many years never will.
const YEARS: i32 = 5;

struct Bounds {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const SECONDS: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with it, in daprd's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let (zone, text) = match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            Some(rest) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                (zone(name)?, rest.trim())
            }
            None => (Zone::Local, text),
        };
        let fields = match text {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            _ => match text.strip_prefix("@every ") {
                Some(interval) => return every(text, interval),
                None if text.starts_with('@') => return Err(format!("unrecognized descriptor: {text}")),
                None => text,
            },
        };
        Ok(Self(Kind::At(Fields::parse(fields)?, zone)))
    }

    /// The first time after `after` that matches; none when there is none in years.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Kind::Every(interval) => after.checked_add_signed(TimeDelta::from_std(*interval).ok()?),
            Kind::At(fields, Zone::Local) => fields.next(after.with_timezone(&Local)).map(|time| time.to_utc()),
            Kind::At(fields, Zone::Named(zone)) => fields.next(after.with_timezone(zone)).map(|time| time.to_utc()),
        }
    }
}

fn zone(name: &str) -> Result<Zone, String> {
    match name {
        "" | "UTC" => Ok(Zone::Named(Tz::UTC)),
        "Local" => Ok(Zone::Local),
        _ => {
            name.parse().map(Zone::Named).map_err(|_| format!("provided bad location {name}: unknown time zone {name}"))
        }
    }
}

fn every(text: &str, interval: &str) -> Result<Schedule, String> {
    let interval = parse_go_duration(interval)
        .ok_or_else(|| format!("failed to parse duration {text}: time: invalid duration {}", go::quote(interval)))?;
    if interval.is_zero() {
        return Err(format!("failed to parse duration {text}: it must be longer than zero"));
    }
    Ok(Schedule(Kind::Every(interval)))
}

impl Fields {
    fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if !(5..=6).contains(&fields.len()) {
            return Err(format!("expected 5 to 6 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        }
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        Ok(Self {
            second: field(fields[0], &SECONDS)?,
            minute: field(fields[1], &SECONDS)?,
            hour: field(fields[2], &HOURS)?,
            day: field(fields[3], &DAYS)?,
            month: field(fields[4], &MONTHS)?,
            weekday: field(fields[5], &WEEKDAYS)?,
        })
    }

    /// Walks from field to field in absolute time, so that hours which the clock leaves out or repeats are left out and
    /// repeated.
    fn next<T: TimeZone>(&self, after: DateTime<T>) -> Option<DateTime<T>> {
        let zone = after.timezone();
        let last_year = after.year() + YEARS;
        let mut time = after.clone() + TimeDelta::seconds(1) - TimeDelta::nanoseconds(after.nanosecond().into());
        while time.year() <= last_year {
            let date = time.date_naive();
            if !has(self.month, date.month()) {
                time = start_of_day(&zone, date.with_day(1)?.checked_add_months(Months::new(1))?)?;
            } else if !self.has_day(date) {
                time = start_of_day(&zone, date.checked_add_days(Days::new(1))?)?;
            } else if !has(self.hour, time.hour()) {
                let past = i64::from(time.minute() * 60 + time.second());
                time += TimeDelta::seconds(3600 - past);
            } else if !has(self.minute, time.minute()) {
                time += TimeDelta::seconds(60 - i64::from(time.second()));
            } else if !has(self.second, time.second()) {
                time += TimeDelta::seconds(1);
            } else {
                return Some(time);
            }
        }
        None
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        let day = has(self.day, date.day());
        let weekday = has(self.weekday, date.weekday().num_days_from_sunday());
        if (self.day | self.weekday) & STAR != 0 { day && weekday } else { day || weekday }
    }
}

fn has(field: u64, value: u32) -> bool {
    field & (1 << value) != 0
}

/// The first moment of a day; where the clock leaves midnight out, the first one after.
fn start_of_day<T: TimeZone>(zone: &T, date: NaiveDate) -> Option<DateTime<T>> {
    let midnight = NaiveDateTime::new(date, NaiveTime::MIN);
    (0..24).find_map(|hours| zone.from_local_datetime(&(midnight + TimeDelta::hours(hours))).earliest())
}

/// A list of ranges.
fn field(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let mut bits = 0;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        bits |= range(part, bounds)?;
    }
    Ok(bits)
}

/// `number`, `number-number`, either with `/number` behind it.
fn range(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let (start, mut end, mut star) = if matches!(ends[0], "*" | "?") {
        (bounds.min, bounds.max, STAR)
    } else {
        let start = value(ends[0], bounds)?;
        match ends.as_slice() {
            [_] => (start, start, 0),
            [_, end] => (start, value(end, bounds)?, 0),
            _ => return Err(format!("too many hyphens: {text}")),
        }
    };
    let step = match parts.as_slice() {
        [_] => 1,
        [_, step] => {
            if ends.len() == 1 {
                end = bounds.max;
            }
            number(step)?
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if step > 1 {
        star = 0;
    }
    if start < bounds.min {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", bounds.min));
    }
    if end > bounds.max {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", bounds.max));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok((start..=end).step_by(step as usize).fold(star, |bits, value| bits | (1 << value)))
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, String> {
    match bounds.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        Some(place) => Ok(bounds.min + place as u32),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, String> {
    let number = go::parse_int("Atoi", text).map_err(|error| format!("failed to parse int from {text}: {error}"))?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    // Out of every bounds, and said so by them.
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let after = DateTime::parse_from_rfc3339(after).unwrap().to_utc();
        let schedule = Schedule::parse(&format!("TZ=UTC {schedule}")).unwrap();
        schedule.next(after).map(|time| time.format("%FT%TZ").to_string()).unwrap_or_default()
    }

    #[test]
    fn schedules_match_as_in_daprd() {
        // 2024-01-01 was a Monday.
        let cases = [
            ("* * * * *", "2024-01-01T00:00:30Z", "2024-01-01T00:01:00Z"),
            ("*/15 * * * * *", "2024-01-01T00:00:15Z", "2024-01-01T00:00:30Z"),
            ("0 30 * * * *", "2024-01-01T00:30:00Z", "2024-01-01T01:30:00Z"),
            ("5/20 * * * *", "2024-01-01T00:26:00Z", "2024-01-01T00:45:00Z"),
            ("0 0 31 * ?", "2024-01-31T00:00:00Z", "2024-03-31T00:00:00Z"),
            ("0 0 29 feb *", "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 9-17/4 * * MON-FRI", "2024-01-05T17:00:00Z", "2024-01-08T09:00:00Z"),
            // Either the 13th or a Friday, since both are restricted.
            ("0 0 13 * FRI", "2024-01-01T00:00:00Z", "2024-01-05T00:00:00Z"),
            // Every second day that is a Friday is not meant, as in daprd: a step makes a restriction.
            ("0 0 */2 * FRI", "2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z"),
            ("@daily", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"),
            ("@weekly", "2024-01-01T00:00:00Z", "2024-01-07T00:00:00Z"),
            ("@hourly", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"),
            ("@every 1h30m", "2024-01-01T00:00:10Z", "2024-01-01T01:30:10Z"),
            ("0 0 30 2 *", "2024-01-01T00:00:00Z", ""),
        ];
        for (schedule, after, expected) in cases {
            assert_eq!(next(schedule, after), expected, "{schedule}");
        }
    }

    #[test]
    fn hours_that_the_clock_leaves_out_or_repeats() {
        let next = |schedule: &str, after: &str| {
            let after = DateTime::parse_from_rfc3339(after).unwrap().to_utc();
            let schedule = Schedule::parse(&format!("CRON_TZ=America/New_York {schedule}")).unwrap();
            schedule.next(after).unwrap().format("%FT%TZ").to_string()
        };
        // 2:30 does not exist on that day.
        assert_eq!(next("30 2 * * *", "2024-03-10T05:00:00Z"), "2024-03-11T06:30:00Z");
        // 1:30 comes twice.
        assert_eq!(next("30 1 * * *", "2024-11-03T05:00:00Z"), "2024-11-03T05:30:00Z");
        assert_eq!(next("30 * * * *", "2024-11-03T05:30:00Z"), "2024-11-03T06:30:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        let cases = [
            ("", "empty spec string"),
            ("* * *", "expected 5 to 6 fields, found 3: [* * *]"),
            ("@often", "unrecognized descriptor: @often"),
            ("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("x * * * *", r#"failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax"#),
            ("TZ=Mars/Base * * * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
        ];
        for (text, expected) in cases {
            assert_eq!(Schedule::parse(text).unwrap_err(), expected);
        }
    }
}
