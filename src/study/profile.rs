//! Load profiles by name: stages in the words of the field, all scaled from one number, the normal load.

use std::time::Duration;

use crate::units::{Course, Load};
use crate::workload::StageSpec;

/// Shortest whole of a profile: below it no stage is long enough to say anything.
pub const PROFILE_MIN: Duration = Duration::from_secs(30);
/// The whole of a profile, unless the user says how long.
pub const PROFILE_DEFAULT: Duration = Duration::from_secs(300);

/// A load profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Everything one after the other: baseline, normal, peak, stress, spike, soak.
    Progressive,
    /// Higher and higher, to find where it breaks.
    Stress,
    /// Normal load, a spike in the middle of it, and the time after it.
    Spike,
    /// Normal load all the time: what only shows after long.
    Soak,
}

/// One stage of a profile; levels are multiples of the normal load.
struct Part {
    name: &'static str,
    /// Hundredths of the whole.
    percent: u32,
    shape: Shape,
}

enum Shape {
    Constant(f64),
    Ramp(f64, f64),
    /// The normal load, and this for a fifth of the stage, after two fifths of it.
    Spike(f64),
}

const fn part(name: &'static str, percent: u32, shape: Shape) -> Part {
    Part { name, percent, shape }
}

const PROGRESSIVE: &[Part] = &[
    part("baseline", 10, Shape::Constant(0.5)),
    part("normal", 15, Shape::Constant(1.0)),
    part("peak", 15, Shape::Constant(2.0)),
    part("stress", 15, Shape::Ramp(2.0, 4.0)),
    part("spike", 20, Shape::Spike(5.0)),
    part("soak", 25, Shape::Constant(1.0)),
];
const STRESS: &[Part] = &[
    part("50 %", 10, Shape::Constant(0.5)),
    part("100 %", 10, Shape::Constant(1.0)),
    part("150 %", 10, Shape::Constant(1.5)),
    part("200 %", 10, Shape::Constant(2.0)),
    part("250 %", 10, Shape::Constant(2.5)),
    part("300 %", 10, Shape::Constant(3.0)),
    part("350 %", 10, Shape::Constant(3.5)),
    part("400 %", 10, Shape::Constant(4.0)),
    part("450 %", 10, Shape::Constant(4.5)),
    part("500 %", 10, Shape::Constant(5.0)),
];
const SPIKE: &[Part] = &[
    part("normal", 30, Shape::Constant(1.0)),
    part("spike", 40, Shape::Spike(5.0)),
    part("after", 30, Shape::Constant(1.0)),
];
const SOAK: &[Part] = &[part("soak", 100, Shape::Constant(1.0))];

impl Profile {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::Progressive => PROGRESSIVE,
            Self::Stress => STRESS,
            Self::Spike => SPIKE,
            Self::Soak => SOAK,
        }
    }

    /// Its stages over `whole`, where `normal` is a load whose level does not change.
    #[must_use]
    pub fn stages(self, normal: &Load, whole: Duration) -> Vec<StageSpec> {
        let stage = |part: &Part| {
            let duration = whole * part.percent / 100;
            let load = with_course(normal, part.shape.course(normal, duration));
            StageSpec { name: part.name.to_owned(), duration, load }
        };
        self.parts().iter().map(stage).collect()
    }
}

impl Shape {
    fn course(&self, normal: &Load, duration: Duration) -> Course {
        // Clients are whole, and a stage without any would measure nothing.
        let level = |times: f64| {
            let level = times * normal.course().max();
            if normal.arrives() { level } else { level.ceil() }
        };
        match *self {
            Self::Constant(times) => Course::Constant(level(times)),
            Self::Ramp(from, to) => Course::Ramp { ramp: [level(from), level(to)] },
            Self::Spike(times) => Course::Spike {
                base: level(1.0),
                spike: level(times),
                at: duration * 2 / 5,
                lasts: duration / 5,
            },
        }
    }
}

fn with_course(load: &Load, course: Course) -> Load {
    let mut load = load.clone();
    match &mut load {
        Load::Open { rate: level, .. }
        | Load::Closed { clients: level, .. }
        | Load::PartlyOpen { sessions: level, .. } => *level = course,
    }
    load
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Profile; 4] = [Profile::Progressive, Profile::Stress, Profile::Spike, Profile::Soak];

    #[test]
    fn the_parts_of_a_profile_are_the_whole_of_it() {
        for profile in ALL {
            assert_eq!(profile.parts().iter().map(|part| part.percent).sum::<u32>(), 100, "{profile:?}");
            let stages = profile.stages(&Load::rate(100.0), PROFILE_DEFAULT);
            assert_eq!(stages.iter().map(|stage| stage.duration).sum::<Duration>(), PROFILE_DEFAULT);
            for stage in stages {
                assert_eq!(
                    stage.load.course().check_length(stage.duration),
                    Ok(()),
                    "{profile:?} {}",
                    stage.name
                );
            }
        }
    }

    #[test]
    fn the_stages_are_multiples_of_the_normal_load() {
        let stages = Profile::Progressive.stages(&Load::rate(200.0), Duration::from_secs(100));
        let courses: Vec<(&str, String)> =
            stages.iter().map(|stage| (stage.name.as_str(), stage.load.course().to_string())).collect();
        let expected = [
            ("baseline", "100"),
            ("normal", "200"),
            ("peak", "400"),
            ("stress", "400..800"),
            ("spike", "200 spike 1000 at 8s for 4s"),
            ("soak", "200"),
        ];
        assert_eq!(courses, expected.map(|(name, course)| (name, course.to_owned())));
        let closed = Profile::Progressive.stages(&Load::clients(3), Duration::from_secs(100));
        assert_eq!(closed[0].load.course(), &Course::Constant(2.0), "half a client is one");
        assert_eq!(closed[3].load.course(), &Course::Ramp { ramp: [6.0, 12.0] });
    }
}
