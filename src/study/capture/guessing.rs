//! Types for parameters of which the server cannot tell them: where a constant stood, PREPARE finds nothing to go by. Casts are tried one
//! after the other, until the server takes the statement.

use std::collections::VecDeque;

use crate::dataset::capture::{Refused, StatementFacts, Typed};
use crate::dataset::{CheckedStatement, Reader};
use crate::study::StudyError;

/// How often types are guessed for the parameters of one statement: one more of them is right each time.
const ROUNDS_MAX: usize = 32;
/// How often all that is tried: each try is a PREPARE, and what the server refuses it writes into its log.
pub(super) const TRIES_MAX: usize = 5000;
/// Statements of which the next guess is sent together with those of the others.
const SIDE_BY_SIDE: usize = 64;

/// A statement for whose parameters types are guessed.
struct Guessed {
    /// Its place among the statements.
    at: usize,
    why: Refused,
    /// What the server points at.
    place: Option<usize>,
    /// What it pointed at before: who comes there again goes round in a circle.
    seen: Vec<Option<usize>>,
    /// What is still to be tried, the likely first.
    left: VecDeque<Typed>,
    /// The first of what was tried after which the server found something else amiss: this much of it was right.
    leads_on: Option<(Typed, Refused)>,
}

impl Guessed {
    fn new(at: usize, text: &str, why: &Refused) -> Option<Self> {
        let typed = Typed::new(text);
        let left: VecDeque<Typed> = typed.guesses(why).into();
        let place = typed.place(why);
        (!left.is_empty()).then(|| Self { at, why: why.clone(), place, seen: vec![], left, leads_on: None })
    }

    /// What to try next; nothing where no guess is left.
    fn guess(&mut self) -> Option<Typed> {
        if self.left.is_empty() {
            let (typed, why) = self.leads_on.take().filter(|_| self.seen.len() + 1 < ROUNDS_MAX)?;
            self.seen.push(self.place);
            self.place = typed.place(&why);
            self.left = typed.guesses(&why).into();
            self.why = why;
        }
        self.left.pop_front()
    }

    fn learn(&mut self, typed: Typed, why: Refused) {
        let place = typed.place(&why);
        let is_new = place != self.place && !self.seen.contains(&place);
        let leads_on = is_new || (why.sqlstate == "42P18" && why != self.why);
        if self.leads_on.is_none() && leads_on && !typed.guesses(&why).is_empty() {
            self.leads_on = Some((typed, why));
        }
    }
}

/// The statements for whose parameters types are guessed, those with most calls first.
struct Guessing {
    open: VecDeque<Guessed>,
    /// How often the server may still be asked.
    left: usize,
}

impl Guessing {
    /// One guess for each of some statements.
    fn batch(&mut self) -> Vec<(Guessed, Typed)> {
        let mut tried = vec![];
        while tried.len() < self.left.min(SIDE_BY_SIDE)
            && let Some(mut guessed) = self.open.pop_front()
        {
            // The others keep what the server said at first.
            if let Some(typed) = guessed.guess() {
                tried.push((guessed, typed));
            }
        }
        self.left -= tried.len();
        tried
    }

    /// The statements of which something is left to try.
    fn unfinished(&self) -> impl Iterator<Item = &Guessed> {
        self.open.iter().filter(|of| !of.left.is_empty() || of.leads_on.is_some())
    }
}

/// Gives types to parameters where the server takes the statement with them; the others keep what it said at first. Gives the number of
/// those for which not all was tried.
pub(super) async fn give_types(
    reader: &mut Reader<'_>,
    statements: &mut [StatementFacts],
    answers: &mut [Result<CheckedStatement, Refused>],
) -> Result<usize, StudyError> {
    let refused = answers.iter().enumerate().filter_map(|(at, answer)| Some((at, answer.as_ref().err()?)));
    let open = refused.filter_map(|(at, why)| Guessed::new(at, &statements[at].text, why)).collect();
    let mut guessing = Guessing { open, left: TRIES_MAX };
    loop {
        let tried = guessing.batch();
        if tried.is_empty() {
            break;
        }
        // Each is tried where the server found what it names.
        let (usual, other): (Vec<_>, Vec<_>) =
            tried.into_iter().partition(|(guessed, _)| guessed.why.search_path.is_none());
        for tried in [usual, other] {
            let Some(path) = tried.first().map(|(guessed, _)| guessed.why.search_path.clone()) else {
                continue;
            };
            let texts: Vec<String> = tried.iter().map(|(_, typed)| typed.text()).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let said = reader.check_under(path.as_deref(), &texts).await?;
            // From the last on, so that those with most calls are in front again.
            for ((mut guessed, typed), answer) in tried.into_iter().zip(said).rev() {
                match answer {
                    Ok(checked) => {
                        statements[guessed.at].text = typed.text();
                        answers[guessed.at] = Ok(checked);
                    }
                    Err(why) => {
                        guessed.learn(typed, why);
                        guessing.open.push_front(guessed);
                    }
                }
            }
        }
    }
    let mut unfinished = 0;
    for guessed in guessing.unfinished() {
        unfinished += 1;
        if let Err(why) = &mut answers[guessed.at] {
            why.words += &format!("; the {TRIES_MAX} tries of types were spent before it was taken");
        }
    }
    Ok(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(at: usize) -> Guessed {
        let text = "SELECT a, $1 + $2 FROM t WHERE b = $3";
        let why = Refused {
            words: "operator is not unique: unknown + unknown".into(),
            sqlstate: "42725".into(),
            at: text.find('+'),
            search_path: None,
        };
        Guessed::new(at, text, &why).expect("something to try")
    }

    /// A server that refuses all until a statement has this cast is asked no more than it must be.
    fn tries(mut guessing: Guessing, taken: &str) -> (usize, usize) {
        let mut tries = 0;
        loop {
            let tried = guessing.batch();
            if tried.is_empty() {
                return (tries, guessing.unfinished().count());
            }
            tries += tried.len();
            for (mut guessed, typed) in tried.into_iter().rev() {
                if !typed.text().contains(taken) {
                    let why = guessed.why.clone();
                    // It points at the same place, which is that of the statement as it was counted.
                    let moved = typed.text().find('+');
                    guessed.learn(typed, Refused { at: moved, ..why });
                    guessing.open.push_front(guessed);
                }
            }
        }
    }

    #[test]
    fn guesses_end_with_the_first_that_is_taken_and_with_their_number() {
        let of = |count: usize, left: usize| Guessing { open: (0..count).map(guessed).collect(), left };
        // Each statement by itself: integers are the first guess, numbers with a point the second.
        assert_eq!(tries(of(3, 100), "$1::integer"), (3, 0));
        assert_eq!(tries(of(100, 1000), "$1::numeric"), (200, 0));
        let all = guessed(0).left.len();
        assert_eq!(tries(of(3, 1000), "nothing"), (3 * all, 0));
        assert_eq!(tries(of(100, 70), "nothing"), (70, 100));
        assert_eq!(tries(of(100, 0), "nothing"), (0, 100));
    }
}
