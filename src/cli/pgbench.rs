//! `--pgbench`, `-b`, `-D`, `--max-tries`: from arguments to a workload of scripts.

use crate::study::StudyError;
use crate::units::Protocol;
use crate::workload::Workload;
use crate::workload::pgbench::{BuiltIn, Choice, Chosen, ScriptSource, load};

use super::CommandError;
use super::args::{MeasureArguments, PgbenchArguments};
use super::plan::{UsageError, spoken};

/// What pgbench separates a script and its weight by.
const WEIGHT_MARK: char = '@';

/// Reads the scripts that the arguments name. On a throwaway server pgbench's tables belong to them.
pub(super) fn read(arguments: &MeasureArguments, with_tables: bool) -> Result<Workload, CommandError> {
    let given = &arguments.pgbench;
    let mut scripts = Vec::new();
    for script in &given.scripts {
        let (path, weight) = weighted("--pgbench", script)?;
        scripts.push(Chosen { source: ScriptSource::File(path.into()), weight });
    }
    for builtin in &given.builtins {
        let (name, weight) = weighted("-b", builtin)?;
        let source = BuiltIn::of_name(name).ok_or_else(|| UsageError::BuiltIn(name.to_owned()))?;
        scripts.push(Chosen { source: ScriptSource::BuiltIn(source), weight });
    }
    if let Some(scale) = arguments.scale.filter(|scale| scale.fract() != 0.0) {
        return Err(UsageError::ScriptScale(scale).into());
    }
    let choice = Choice {
        scripts,
        defines: given.defines.iter().map(|given| define(given)).collect::<Result<_, _>>()?,
        // As with pgbench.
        protocol: spoken(arguments.protocol).unwrap_or(Protocol::Simple),
        max_tries: given.max_tries.unwrap_or(1),
        with_tables,
    };
    Ok(load(&choice).map_err(StudyError::from)?)
}

/// Refuses what means something for scripts only, where a workload is run.
pub(super) fn refuse_alone(given: &PgbenchArguments) -> Result<(), UsageError> {
    if !given.defines.is_empty() {
        return Err(UsageError::WithoutScript("-D"));
    }
    if given.max_tries.is_some() {
        return Err(UsageError::WithoutScript("--max-tries"));
    }
    Ok(())
}

/// Takes the weight off, which is 1 where there is none.
fn weighted<'a>(flag: &'static str, given: &'a str) -> Result<(&'a str, u32), UsageError> {
    let Some((name, weight)) = given.rsplit_once(WEIGHT_MARK) else { return Ok((given, 1)) };
    match weight.parse::<i32>().ok().and_then(|weight| u32::try_from(weight).ok()) {
        Some(weight) => Ok((name, weight)),
        None => Err(UsageError::Weight { flag, given: given.to_owned() }),
    }
}

fn define(given: &str) -> Result<(String, String), UsageError> {
    match given.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(UsageError::Define(given.to_owned())),
    }
}
