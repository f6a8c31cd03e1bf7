//! Processors by their numbers, as `taskset` writes them: `0,2-3`.

use std::fmt;
use std::str::FromStr;

/// The highest number that a processor can have: what Linux counts in a plain set.
pub const CPU_MAX: u16 = 1023;

/// Some processors, at least one, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<u16>);

/// Why a text is no list of processors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no list of CPUs; write numbers from 0 to {CPU_MAX} and ranges of them, such as `0,2-3`")]
pub struct CpuListError(String);

impl CpuList {
    /// The list of these numbers; nothing where there is none.
    #[must_use]
    pub fn new(mut numbers: Vec<u16>) -> Option<Self> {
        numbers.sort_unstable();
        numbers.dedup();
        (!numbers.is_empty()).then_some(Self(numbers))
    }

    /// The numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Option<Self> {
        Self::new(self.numbers().filter(|number| !other.0.contains(number)).collect())
    }
}

impl FromStr for CpuList {
    type Err = CpuListError;

    fn from_str(text: &str) -> Result<Self, CpuListError> {
        let number = |text: &str| {
            let digits = text.trim();
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|number| plain && *number <= CPU_MAX)
        };
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => numbers.extend(first..=last),
                _ => return Err(CpuListError(text.to_owned())),
            }
        }
        Self::new(numbers).ok_or_else(|| CpuListError(text.to_owned()))
    }
}

impl fmt::Display for CpuList {
    /// The shortest form: `0,2-3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, run) in self.0.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [only] => write!(f, "{comma}{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_written() {
        for (text, shown) in [("0", "0"), ("0,2-3", "0,2-3"), ("3,2,2,1", "1-3"), (" 4 - 5 ,1", "1,4-5")] {
            assert_eq!(text.parse::<CpuList>().expect("a list").to_string(), shown);
        }
        for text in ["", ",", "3-1", "-1", "a", "0,", "1024", "+1", "1-2-3"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
        let (some, others) = ("0-3".parse::<CpuList>().expect("a list"), "0,2-9".parse().expect("a list"));
        assert_eq!(some.without(&others).expect("one").to_string(), "1");
        assert_eq!(some.without(&some), None);
    }
}
