//! The load that was seen: sessions by application, how long a transaction holds its connection, and the rate by the time of day. Knows
//! no server.

use std::collections::BTreeMap;

use super::column::number;

/// Looks at the sessions see a sample of the moments: a pool must do for those between them as well. Numbers of independent sessions are
/// spread as Poisson's law has it, and beyond so many standard deviations lies one moment in a thousand.
const DEVIATIONS: f64 = 3.0;
/// A part of the day is at least so long, and there are at most so many.
const PART_S: f64 = 600.0;
const PARTS_MAX: f64 = 24.0;
/// A day.
const DAY_S: u64 = 86_400;

/// Sessions of one application in one state, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSample {
    /// Its `application_name`.
    pub application: String,
    /// `active`, `idle`, `idle in transaction`, …
    pub state: String,
    /// How many there are.
    pub count: f64,
    /// Mean age of their transactions in seconds; zero where there are none.
    pub transaction_age_s: f64,
}

/// What was seen of the load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenLoad {
    /// Each look at the sessions.
    pub looks: Vec<Vec<SessionSample>>,
    /// Transactions of the database that ended per second; absent where that was not counted.
    pub transactions_per_s: Option<f64>,
    /// When it began to be looked at, in seconds since 1970.
    pub begun_unix_s: u64,
    /// The lengths of the intervals in which statements were counted, in seconds.
    pub intervals_s: Vec<f64>,
}

/// One application over all looks.
#[derive(Default)]
struct Application {
    sessions: f64,
    active: f64,
    in_transaction: f64,
    /// Most that there were at one moment, whatever they did.
    sessions_max: f64,
    /// Most that were active or in a transaction at one moment.
    busy_max: f64,
}

/// The rate in a part of the time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// `at_0830`, as UTC has it.
    pub(super) name: String,
    /// Transactions per second.
    pub(super) rate: f64,
}

impl SeenLoad {
    /// What was seen of the sessions, in words, and how large a pool would do for each application.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let times = self.looks.len() as f64;
        let mut lines = vec![];
        let mut busy_mean = 0.0;
        for (name, of) in self.applications() {
            let name = if name.is_empty() { "(no name)" } else { name }.replace('\n', " ");
            let mean = (of.active + of.in_transaction) / times;
            busy_mean += mean;
            let size = pool_size(mean, times, of.busy_max, of.sessions_max);
            let suggested = if self.looks.len() > 1 {
                format!(": a pool of {size:.0} would do (--pool-size {size:.0})")
            } else {
                String::new()
            };
            lines.push(format!(
                "{name}: {:.1} sessions, {:.2} active and {:.2} idle in transaction on average, at most {:.0} of them at once{suggested}",
                of.sessions / times,
                of.active / times,
                of.in_transaction / times,
                of.busy_max
            ));
        }
        // Little's law: as many are busy as begin in the time that one takes.
        if let Some(rate) = self.transactions_per_s.filter(|rate| *rate > 0.0)
            && busy_mean > 0.0
        {
            lines.push(format!(
                "all together: {busy_mean:.2} busy on average at {rate:.1} transactions per second, so that each holds its connection \
                 for {:.2} ms",
                1000.0 * busy_mean / rate
            ));
        }
        lines
    }

    fn applications(&self) -> BTreeMap<&str, Application> {
        let mut seen: BTreeMap<&str, Application> = BTreeMap::new();
        for look in &self.looks {
            let mut now: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
            for sample in look {
                let of = seen.entry(&sample.application).or_default();
                let (sessions, busy) = now.entry(&sample.application).or_default();
                of.sessions += sample.count;
                *sessions += sample.count;
                match sample.state.as_str() {
                    "active" => of.active += sample.count,
                    state if state.starts_with("idle in transaction") => of.in_transaction += sample.count,
                    _ => continue,
                }
                *busy += sample.count;
            }
            for (name, (sessions, busy)) in now {
                let of = seen.entry(name).or_default();
                of.sessions_max = of.sessions_max.max(sessions);
                of.busy_max = of.busy_max.max(busy);
            }
        }
        seen
    }

    /// The rates by the time of day, where it was looked at for long enough: `transactions` are those of each interval.
    pub(super) fn parts(&self, transactions: &[f64]) -> Vec<Part> {
        let whole: f64 = self.intervals_s.iter().sum();
        let count = (whole / PART_S).floor().min(PARTS_MAX);
        if count < 2.0 || transactions.len() != self.intervals_s.len() {
            return vec![];
        }
        let length = whole / count;
        let mut parts: Vec<(f64, f64, f64)> = vec![];
        let mut from = 0.0;
        for (seconds, transactions) in self.intervals_s.iter().zip(transactions) {
            // An interval belongs to the part in which it begins.
            match parts.last_mut() {
                Some((begun, sum, lasted)) if from < *begun + length * 0.999 => {
                    *sum += transactions;
                    *lasted += seconds;
                }
                _ => parts.push((from, *transactions, *seconds)),
            }
            from += seconds;
        }
        let part = |(begun, sum, lasted): &(f64, f64, f64)| Part {
            name: self.name_at(*begun),
            rate: sum / lasted.max(f64::MIN_POSITIVE),
        };
        parts.iter().map(part).collect()
    }

    fn name_at(&self, after_s: f64) -> String {
        // At most a day.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let second = (self.begun_unix_s + after_s as u64) % DAY_S;
        format!("at_{:02}{:02}", second / 3600, second % 3600 / 60)
    }
}

/// Connections that do for so many that are busy on average in so many looks, of whom so many were seen at once; no more than there
/// are sessions.
fn pool_size(mean: f64, looks: f64, busy_max: f64, sessions_max: f64) -> f64 {
    // What was not seen in n looks is there on average less than 3 in n times, which is wrong once in twenty times.
    let mean = mean.max(3.0 / looks);
    (mean + DEVIATIONS * mean.sqrt()).ceil().min(sessions_max).max(busy_max).max(1.0)
}

/// The stages of the parts of the day as comments, for the user to take one of them.
pub(super) fn as_comments(parts: &[Part]) -> String {
    let mut text = String::new();
    if parts.is_empty() {
        return text;
    }
    text += "\n# By the time of day (UTC). To run one of them, take away the # before it.\n";
    for part in parts {
        text += &format!(
            "# [[stage]]\n# name = \"{}\"\n# duration = \"1m\"\n# rate = {}\n",
            part.name,
            number(((part.rate * 1000.0).round() / 1000.0).max(0.001))
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(application: &str, state: &str, count: f64) -> SessionSample {
        SessionSample { application: application.into(), state: state.into(), count, transaction_age_s: 0.0 }
    }

    #[test]
    fn a_pool_is_as_large_as_what_is_busy_at_once_takes() {
        let looks = vec![
            vec![
                sample("api", "active", 2.0),
                sample("api", "idle", 17.0),
                sample("api", "idle in transaction", 1.0),
            ],
            vec![sample("api", "active", 1.0), sample("api", "idle", 19.0), sample("worker", "idle", 4.0)],
        ];
        let seen = SeenLoad { looks, transactions_per_s: Some(400.0), ..SeenLoad::default() };
        assert_eq!(
            seen.words(),
            [
                "api: 20.0 sessions, 1.50 active and 0.50 idle in transaction on average, at most 3 of them at once: a pool of 7 would do \
                 (--pool-size 7)",
                "worker: 2.0 sessions, 0.00 active and 0.00 idle in transaction on average, at most 0 of them at once: a pool of 4 would \
                 do (--pool-size 4)",
                "all together: 2.00 busy on average at 400.0 transactions per second, so that each holds its connection for 5.00 ms",
            ]
        );
        // A single look suggests nothing.
        let once = SeenLoad { looks: vec![vec![sample("api", "active", 2.0)]], ..SeenLoad::default() };
        assert_eq!(once.words().len(), 1);
        assert!(!once.words()[0].contains("--pool-size"));
        assert!((pool_size(0.1, 100.0, 9.0, 20.0) - 9.0).abs() < 1e-9);
    }

    #[test]
    fn a_long_look_has_parts_of_the_day_and_a_short_one_has_none() {
        // An hour from 23:40 on, in intervals of half a minute; quiet at first.
        let seen = SeenLoad {
            begun_unix_s: 23 * 3600 + 40 * 60,
            intervals_s: vec![30.0; 120],
            ..SeenLoad::default()
        };
        let transactions: Vec<f64> = (0..120).map(|at| if at < 40 { 300.0 } else { 3000.0 }).collect();
        let parts = seen.parts(&transactions);
        let found: Vec<(&str, f64)> = parts.iter().map(|part| (part.name.as_str(), part.rate)).collect();
        assert_eq!(
            found,
            [
                ("at_2340", 10.0),
                ("at_2350", 10.0),
                ("at_0000", 100.0),
                ("at_0010", 100.0),
                ("at_0020", 100.0),
                ("at_0030", 100.0)
            ]
        );
        let comments = as_comments(&parts);
        assert!(
            comments.lines().filter(|line| !line.is_empty()).all(|line| line.starts_with('#')),
            "{comments}"
        );
        let stages: Vec<&str> = comments.lines().skip(2).map(|line| &line[2..]).collect();
        let read: toml::Table = toml::from_str(&stages.join("\n")).expect("stages without their #");
        assert_eq!(read["stage"].as_array().map(Vec::len), Some(6));
        let short = SeenLoad { intervals_s: vec![25.0; 24], ..SeenLoad::default() };
        assert!(short.parts(&[1.0; 24]).is_empty());
    }
}
