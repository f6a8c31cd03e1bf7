//! On which processors the calling thread runs, and with it the threads and processes that it starts from then on.

use crate::units::CpuList;

/// Why a thread cannot be kept to processors.
#[derive(Debug, thiserror::Error)]
pub enum AffinityError {
    /// This process may not use them, or they do not exist.
    #[error("there is no CPU {missing} for dbdyno here: it may run on {allowed}")]
    Missing {
        /// Those that are missing.
        missing: CpuList,
        /// Those that it may use.
        allowed: CpuList,
    },
    /// The operating system refuses.
    #[error("cannot keep to CPUs {cpus}: {source}")]
    Refused {
        /// Those that were wanted.
        cpus: CpuList,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Keeps the calling thread to `cpus` and gives those that it was kept to before.
#[cfg(target_os = "linux")]
pub fn pin(cpus: &CpuList) -> Result<CpuList, AffinityError> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let refused =
        |errno: rustix::io::Errno| AffinityError::Refused { cpus: cpus.clone(), source: errno.into() };
    let current = || -> Result<CpuList, AffinityError> {
        let set = sched_getaffinity(None).map_err(refused)?;
        let numbers = (0..=crate::units::CPU_MAX).filter(|number| set.is_set(usize::from(*number)));
        Ok(CpuList::new(numbers.collect()).expect("a thread that runs has a processor"))
    };
    let wanted = |cpus: &CpuList| {
        let mut set = CpuSet::new();
        cpus.numbers().for_each(|number| set.set(usize::from(number)));
        set
    };
    let before = current()?;
    let missing = |allowed: CpuList| {
        let missing = cpus.without(&allowed)?;
        Some(AffinityError::Missing { missing, allowed })
    };
    match sched_setaffinity(None, &wanted(cpus)) {
        Ok(()) => {}
        // None of them is there.
        Err(rustix::io::Errno::INVAL) => {
            return Err(missing(before).unwrap_or_else(|| refused(rustix::io::Errno::INVAL)));
        }
        Err(errno) => return Err(refused(errno)),
    }
    // The kernel leaves out what is not there without a word.
    if let Some(error) = missing(current()?) {
        sched_setaffinity(None, &wanted(&before)).map_err(refused)?;
        return Err(match error {
            AffinityError::Missing { missing, .. } => AffinityError::Missing { missing, allowed: before },
            error => error,
        });
    }
    Ok(before)
}

/// Keeps the calling thread to `cpus`; only Linux can.
#[cfg(not(target_os = "linux"))]
pub fn pin(cpus: &CpuList) -> Result<CpuList, AffinityError> {
    let source = std::io::Error::new(std::io::ErrorKind::Unsupported, "only Linux can");
    Err(AffinityError::Refused { cpus: cpus.clone(), source })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// On a thread of its own, which takes its processors with it.
    #[test]
    fn a_thread_keeps_to_its_processors_and_to_those_only_that_there_are() {
        std::thread::spawn(|| {
            let everywhere: CpuList = "0-1023".parse().expect("a list");
            let error = pin(&everywhere).expect_err("no machine has all of them");
            let AffinityError::Missing { allowed, .. } = &error else { panic!("{error}") };
            let first = CpuList::new(allowed.numbers().take(1).collect()).expect("one");
            assert_eq!(pin(&first).expect("it is there"), *allowed, "the refusal changed nothing");
            assert_eq!(pin(allowed).expect("back"), first);
            let none: CpuList = "1023".parse().expect("a list");
            let error = pin(&none).expect_err("it is not there");
            assert!(error.to_string().starts_with("there is no CPU 1023"), "{error}");
        })
        .join()
        .expect("the thread does not panic");
    }
}
