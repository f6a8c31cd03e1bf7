//! The variables of one client, which live as long as it does.

use std::sync::Arc;

use super::value::{Fault, Value};
use crate::sql::values::{Arena, Slot};
use crate::units::{Protocol, SlotId};

/// A variable of the scripts of one workload, by its slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// As the scripts name it.
    pub name: String,
    /// What it holds when a client begins.
    pub initial: Initial,
}

/// What a variable holds when a client begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// Nothing: it is set by a script, or never.
    Unset,
    /// A text that `-D` gives.
    Text(String),
    /// The scale of the data.
    Scale,
    /// The number of the client, from 0.
    ClientId,
    /// The seed of hashes and permutations that name none.
    DefaultSeed,
    /// The seed of the run.
    RandomSeed,
}

/// What the initial values of a client follow from.
#[derive(Clone, Copy, Debug)]
pub struct ClientFacts {
    /// The number of the client over all instances, from 0.
    pub client: u64,
    /// The seed of hashes and permutations: the same for all clients of a run.
    pub default_seed: i64,
    /// The seed of the run.
    pub random_seed: u64,
}

/// What the variables of one client hold.
#[derive(Debug)]
pub struct Variables {
    declared: Arc<[Variable]>,
    held: Vec<Held>,
    /// Texts by slot; empty, and without memory, for what never holds one.
    texts: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Held {
    Unset,
    Value(Value),
    /// The text of the same slot.
    Text,
}

impl Variables {
    /// Those of a client that begins.
    #[must_use]
    pub fn new(declared: &Arc<[Variable]>, facts: ClientFacts) -> Self {
        let mut variables = Self {
            declared: Arc::clone(declared),
            held: vec![Held::Unset; declared.len()],
            texts: vec![String::new(); declared.len()],
        };
        for (index, variable) in declared.iter().enumerate() {
            let slot = SlotId::from_index(index);
            match &variable.initial {
                // Where nobody knows the scale, it is 1, as in pgbench.
                Initial::Scale => variables.set(slot, Value::Int(1)),
                Initial::Unset => {}
                Initial::Text(text) => variables.set_text(slot, text),
                Initial::ClientId => {
                    variables.set(slot, Value::Int(i64::try_from(facts.client).unwrap_or(i64::MAX)));
                }
                Initial::DefaultSeed => variables.set(slot, Value::Int(facts.default_seed)),
                Initial::RandomSeed => variables.set(slot, Value::Int(facts.random_seed.cast_signed())),
            }
        }
        variables
    }

    /// Its value; a text means what pgbench reads in it.
    pub fn value(&self, slot: SlotId) -> Result<Value, Fault> {
        match self.held[slot.index()] {
            Held::Unset => Err(self.undefined(slot)),
            Held::Value(value) => Ok(value),
            Held::Text => Value::from_text(&self.texts[slot.index()])
                .map_err(|fault| Fault(format!("variable \"{}\": {fault}", self.name(slot)))),
        }
    }

    /// Gives it a value.
    pub fn set(&mut self, slot: SlotId, value: Value) {
        self.held[slot.index()] = Held::Value(value);
    }

    /// Gives it a text.
    pub fn set_text(&mut self, slot: SlotId, text: &str) {
        self.held[slot.index()] = Held::Text;
        let held = &mut self.texts[slot.index()];
        held.clear();
        held.push_str(text);
    }

    /// Gives it what a column of a result holds. Null is a column that is not there: the variable stays as it is.
    pub fn take(&mut self, slot: SlotId, value: Slot, arena: &Arena) {
        match value {
            Slot::Text(range) => self.set_text(slot, arena.str(range)),
            Slot::Int(value) => self.set(slot, Value::Int(value)),
            _ => {}
        }
    }

    /// What is sent for it: an integer as it is, anything else as its text, NULL as NULL. What nothing has set stays `:name` in
    /// the simple protocol, and is NULL in the others.
    #[must_use]
    pub fn sent(&self, slot: SlotId, protocol: Protocol, arena: &mut Arena) -> Slot {
        match self.held[slot.index()] {
            Held::Unset if protocol == Protocol::Simple => arena.text_with(|out| {
                out.push(b':');
                out.extend_from_slice(self.name(slot).as_bytes());
            }),
            Held::Unset | Held::Value(Value::Null) => Slot::Null,
            Held::Value(Value::Int(value)) => Slot::Int(value),
            Held::Value(value) => arena.text_with(|out| value.write(out)),
            Held::Text => arena.text(&self.texts[slot.index()]),
        }
    }

    /// C's `atoi` of its text, which is how `\sleep` reads a variable: what does not begin with a digit is refused.
    pub fn leading_integer(&self, slot: SlotId) -> Result<i64, Fault> {
        let digits = |text: &str| {
            let text = text.trim_start();
            let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
            let len = signed.bytes().take_while(u8::is_ascii_digit).count();
            text[..text.len() - signed.len() + len].parse::<i64>().ok()
        };
        match self.held[slot.index()] {
            Held::Unset => Err(self.undefined(slot)),
            Held::Value(Value::Int(value)) => Ok(value),
            // A double's text begins with its whole part.
            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
            Held::Value(Value::Double(value)) if value.is_finite() => Ok(value.trunc() as i64),
            Held::Value(value) => Err(Fault(format!("invalid sleep time: {value}"))),
            Held::Text => {
                let text = &self.texts[slot.index()];
                digits(text).ok_or_else(|| Fault(format!("invalid sleep time \"{text}\"")))
            }
        }
    }

    fn name(&self, slot: SlotId) -> &str {
        &self.declared[slot.index()].name
    }

    fn undefined(&self, slot: SlotId) -> Fault {
        Fault(format!("undefined variable \"{}\"", self.name(slot)))
    }
}
