//! The language against known answers, and what is wrong with scripts.

mod mistakes;

use std::path::PathBuf;
use std::sync::Arc;

use super::variables::Initial;
use super::{
    BuiltIn, Choice, Chosen, ClientFacts, Effect, Fault, Operation, Scope, ScriptSource, Value, Variable,
    Variables, load,
};
use crate::diagnostic::Mistakes;
use crate::generate::Key;
use crate::sql::values::{Arena, Slot};
use crate::units::{Protocol, Seed, SlotId};
use crate::workload::{Work, Workload};

fn choice(scripts: Vec<Chosen>, protocol: Protocol) -> Choice {
    Choice { scripts, defines: Vec::new(), protocol, max_tries: 1, with_tables: false }
}

/// Loads one script, which lies in a folder of its own under the name `script.sql`.
fn loaded(text: &str, protocol: Protocol, defines: &[(&str, &str)]) -> Result<Workload, Mistakes> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.sql");
    std::fs::write(&path, text).expect("writable");
    let mut choice = choice(vec![Chosen { source: ScriptSource::File(path), weight: 1 }], protocol);
    choice.defines = defines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&choice)
}

fn operations(workload: &Workload) -> &[Operation] {
    match &workload.transactions[0].work {
        Work::Script(script) => &script.operations,
        Work::Steps(_) => panic!("a script"),
    }
}

/// Evaluates what `\set x` is given, with the variables that stand here.
fn evaluated(expression: &str) -> Result<Value, Fault> {
    let script = format!("\\set x {expression}\n");
    let defines =
        [("i", "7"), ("d", "2.5"), ("yes", "on"), ("none", "NULL"), ("word", "abc"), ("scale", "10")];
    let workload =
        loaded(&script, Protocol::Prepared, &defines).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let facts = ClientFacts { client: 3, default_seed: 5432, random_seed: 42 };
    let variables = Variables::new(&workload.variables, facts);
    let mut draws = Key::root(Seed(1)).at(0, 0);
    let [Operation::Set { expression, .. }] = operations(&workload) else { panic!("one command") };
    expression.evaluate(&mut Scope { variables: &variables, draws: &mut draws })
}

/// What `debug()` would print. Those with numbers were printed by pgbench 15 (`tests/it/pgbench.rs` compares more of them with
/// the pgbench at hand).
#[test]
fn expressions_have_known_values() {
    for (expression, expected) in [
        ("1 + 2 * 3", "int 7"),
        ("(1 + 2) * 3", "int 9"),
        ("-7 / 2", "int -3"),
        ("-7 % 3", "int -1"),
        ("7.0 / 2", "double 3.5"),
        ("1 - 2 - 3", "int -4"),
        ("- 2 * - 3", "int 6"),
        ("+5", "int 5"),
        ("2 + 3 = 5 and not false", "boolean true"),
        ("1 < 2 or 1 / 0 = 1", "boolean true"),
        ("1 > 2 and 1 / 0 = 1", "boolean false"),
        ("null and false", "null"),
        ("true and null", "null"),
        ("null + 1", "null"),
        ("not 1 = 2", "boolean true"),
        ("null is null", "boolean true"),
        ("1 is not null", "boolean true"),
        ("1 + null isnull", "boolean true"),
        ("(1 = 1) is true", "boolean true"),
        ("1 is true", "boolean false"),
        ("5 notnull", "boolean true"),
        ("1 <> 2", "boolean true"),
        ("1 != 1", "boolean false"),
        ("2 >= 2", "boolean true"),
        ("~0", "int -1"),
        ("~1 + 2", "int -4"),
        ("6 & 3 | 8", "int 10"),
        ("6 # 3", "int 5"),
        ("1 << 4 >> 2", "int 4"),
        ("-8 >> 1", "int -4"),
        ("-9223372036854775808", "int -9223372036854775808"),
        ("9223372036854775807", "int 9223372036854775807"),
        ("-9223372036854775808 % -1", "int 0"),
        ("1e3", "double 1000"),
        (".5", "double 0.5"),
        ("1.", "double 1"),
        ("1.5e-3", "double 0.0015"),
        ("case when :i > 5 then 1 when :i > 3 then 2 end", "int 1"),
        ("CASE WHEN null THEN 1 ELSE 2 END", "int 2"),
        ("case when false then 1 end", "null"),
        ("case when 0.0 then 1 when 2 then 3 end", "int 3"),
        ("abs(-3)", "int 3"),
        ("abs(-3.5)", "double 3.5"),
        ("int(5.4) + int(3.8)", "int 9"),
        ("int(2.5)", "int 2"),
        ("double(5432)", "double 5432"),
        ("least(5, 4, 3, 2)", "int 2"),
        ("greatest(1, 2.5)", "double 2.5"),
        ("least(null, 1)", "null"),
        ("mod(54, 32)", "int 22"),
        ("mod(7.4, 2)", "int 1"),
        ("sqrt(2.0)", "double 1.4142135623731"),
        ("pi()", "double 3.14159265358979"),
        ("exp(1.0)", "double 2.71828182845905"),
        ("ln(10)", "double 2.30258509299405"),
        ("pow(2, 10)", "double 1024"),
        ("power(2.0, 0.5)", "double 1.4142135623731"),
        ("debug(5432.1)", "double 5432.1"),
        ("Random(5, 5)", "int 5"),
        (":i + :d", "double 9.5"),
        (":yes or false", "boolean true"),
        (":none is null", "boolean true"),
        (":scale * 100000", "int 1000000"),
        (":client_id", "int 3"),
        (":random_seed", "int 42"),
        ("hash(10, 5432)", "int -5817877081768721676"),
        ("1 / 2.0 > 0.4 \\\n  and true", "boolean true"),
    ] {
        let value = evaluated(expression).map(|value| value.to_string());
        assert_eq!(value.as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_cannot_be_evaluated_says_why_in_the_words_of_pgbench() {
    for (expression, expected) in [
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("9223372036854775807 + 1", "bigint add out of range"),
        ("-9223372036854775808 - 1", "bigint sub out of range"),
        ("9223372036854775807 * 2", "bigint mul out of range"),
        ("-9223372036854775808 / -1", "bigint div out of range"),
        ("abs(-9223372036854775808)", "bigint abs out of range"),
        ("int(1e30)", "double to int overflow for 1000000000000000000000000000000"),
        ("not 1", "cannot coerce int to boolean"),
        ("1 + true", "cannot coerce boolean to int"),
        ("1.0 + true", "cannot coerce boolean to double"),
        ("1.0 and true", "cannot coerce double to boolean"),
        ("random(2, 1)", "empty range given to random"),
        ("random(-9223372036854775808, 0)", "random range is too large"),
        ("random_gaussian(1, 10, 1.5)", "gaussian parameter must be at least 2 (not 1.5)"),
        ("random_zipfian(1, 10, 1)", "zipfian parameter must be in range [1.001, 1000] (not 1)"),
        ("random_exponential(1, 10, 0)", "exponential parameter must be greater than zero (not 0)"),
        ("permute(1, 0)", "permute size parameter must be greater than zero"),
        (":word + 1", "variable \"word\": malformed value \"abc\""),
    ] {
        assert_eq!(evaluated(expression), Err(Fault::new(expected)), "{expression}");
    }
}

#[test]
fn a_hash_without_a_seed_takes_the_default_one() {
    assert_eq!(evaluated("hash(7) = hash_murmur2(7, :default_seed)"), Ok(Value::Bool(true)));
    assert_eq!(evaluated("permute(7, 100) = permute(7, 100, 5432)"), Ok(Value::Bool(true)));
    assert_ne!(evaluated("hash(7)"), evaluated("hash(7, 1)"));
}

#[test]
fn conditions_become_jumps() {
    let script = "\\set a 0\n\\if :a\nSELECT 1;\n\\elif true\n\\if false\nSELECT 2;\n\\endif\nSELECT 3;\n\\else\nSELECT 4;\n\\endif\nSELECT 5;\n";
    let workload = loaded(script, Protocol::Prepared, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let variables =
        Variables::new(&workload.variables, ClientFacts { client: 0, default_seed: 0, random_seed: 0 });
    let mut draws = Key::root(Seed(1)).at(0, 0);
    let (mut at, mut executed) = (1, Vec::new());
    while let Some(operation) = operations(&workload).get(at) {
        at += 1;
        match operation {
            Operation::Jump { to } => at = *to,
            Operation::JumpUnless { condition, to } => {
                // `:a` is 0, which the first command would have set.
                let mut variables = Variables::new(&workload.variables, facts());
                variables.set(slot(&workload, "a"), Value::Int(0));
                let scope = &mut Scope { variables: &variables, draws: &mut draws };
                if !condition.evaluate(scope).expect("a value").truth() {
                    at = *to;
                }
            }
            Operation::Execute { statement, .. } => {
                executed.push(workload.statements[statement.index()].name.as_str());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(executed, ["3_select", "5_select"]);
    drop(variables);
}

fn facts() -> ClientFacts {
    ClientFacts { client: 0, default_seed: 0, random_seed: 0 }
}

fn slot(workload: &Workload, name: &str) -> SlotId {
    let at = workload.variables.iter().position(|variable| variable.name == name);
    SlotId::from_index(at.expect("it is declared"))
}

#[test]
fn the_built_in_scripts_become_transactions_with_their_weights() {
    let script = |script, weight| Chosen { source: ScriptSource::BuiltIn(script), weight };
    let scripts = BuiltIn::ALL.into_iter().zip([3, 0, 1]).map(|(of, weight)| script(of, weight)).collect();
    let choice = Choice { with_tables: true, ..choice(scripts, Protocol::Prepared) };
    let workload = load(&choice).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let shares: Vec<(&str, f64)> =
        workload.transactions.iter().map(|kind| (kind.name.as_str(), kind.weight)).collect();
    assert_eq!(shares, [("tpcb-like", 3.0), ("simple-update", 0.0), ("select-only", 1.0)]);
    let names: Vec<&str> = workload.statements.iter().map(|statement| statement.name.as_str()).collect();
    assert_eq!(
        names[..5],
        [
            "2_update_pgbench_accounts",
            "3_select_abalance",
            "4_update_pgbench_tellers",
            "5_update_pgbench_branches",
            "6_insert_pgbench_history",
        ]
    );
    assert_eq!(
        workload.statements[0].sql,
        "/*dbdyno:tpcb-like.2_update_pgbench_accounts*/ \
         UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2"
    );
    let inputs: Vec<&str> = workload.statements[4]
        .inputs
        .iter()
        .map(|slot| workload.variables[slot.index()].name.as_str())
        .collect();
    assert_eq!(inputs, ["tid", "bid", "aid", "delta"]);
    assert!(workload.schema.is_some() && workload.tables.len() == 3);
    let first = operations(&workload);
    assert!(matches!(first[4], Operation::Begin { isolation: None }), "{:?}", first[4]);
    assert!(matches!(first.last(), Some(Operation::Commit)));
}

#[test]
fn a_definition_comes_before_what_pgbench_sets_itself() {
    let workload = loaded("SELECT :scale, :n", Protocol::Prepared, &[("scale", "7"), ("n", "1"), ("n", "2")])
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let workload = workload.at_scale(Some(30.0));
    let held = |name: &str| workload.variables[slot(&workload, name).index()].initial.clone();
    assert_eq!((held("scale"), held("n")), (Initial::Text("7".into()), Initial::Text("2".into())));
    let workload =
        loaded("SELECT :scale", Protocol::Prepared, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let workload = workload.at_scale(Some(30.0));
    assert_eq!(workload.variables[slot(&workload, "scale").index()].initial, Initial::Text("30".into()));
}

#[test]
fn what_a_result_sets_is_kept_by_the_names_of_its_columns() {
    let script = "SELECT 1 AS one, 2 AS two \\gset p_\n\\set x :p_one + :p_two\nSELECT :p_one;\n";
    let workload = loaded(script, Protocol::Prepared, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let outputs: Vec<(&str, &str)> = workload.statements[0]
        .outputs
        .iter()
        .map(|output| {
            let variable = output.slot.index() - workload.variables.len();
            (output.column.as_str(), workload.variables[variable].name.as_str())
        })
        .collect();
    assert_eq!(outputs, [("one", "p_one"), ("two", "p_two")]);
    assert!(matches!(
        operations(&workload)[0],
        Operation::Execute { takes: true, effect: Effect::Nothing, .. }
    ));
}

#[test]
fn scripts_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| {
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, "SELECT 1;").expect("writable");
        Chosen { source: ScriptSource::File(path), weight: 1 }
    };
    let scripts =
        vec![write("a b.sql"), write("ab.pgbench"), write("ab"), write("response.sql"), write("ß.sql")];
    let workload = load(&choice(scripts, Protocol::Prepared)).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let names: Vec<&str> = workload.transactions.iter().map(|kind| kind.name.as_str()).collect();
    assert_eq!(names, ["ab", "ab_2", "ab_3", "script_response", "script_"]);
    assert_eq!(workload.name, "pgbench");
}

#[test]
fn variables_are_sent_as_what_they_hold() {
    let declared: Arc<[Variable]> = ["a", "b", "c", "d", "e"]
        .map(|name| Variable { name: name.to_owned(), initial: Initial::Unset })
        .into_iter()
        .collect();
    let mut variables = Variables::new(&declared, facts());
    let id = SlotId::from_index;
    variables.set(id(0), Value::Int(5));
    variables.set(id(1), Value::Double(0.1));
    variables.set(id(2), Value::Bool(true));
    variables.set_text(id(3), "it's");
    let mut arena = Arena::default();
    let mut sent = |protocol| -> Vec<String> {
        let slots = (0..5).map(|index| variables.sent(id(index), protocol, &mut arena)).collect::<Vec<_>>();
        let shown = |slot: &Slot| match slot {
            Slot::Text(text) => format!("text {}", arena.str(*text)),
            other => format!("{other:?}"),
        };
        slots.iter().map(shown).collect()
    };
    assert_eq!(sent(Protocol::Simple), ["Int(5)", "text 0.1", "text true", "text it's", "text :e"]);
    assert_eq!(sent(Protocol::Prepared), ["Int(5)", "text 0.1", "text true", "text it's", "Null"]);
}
