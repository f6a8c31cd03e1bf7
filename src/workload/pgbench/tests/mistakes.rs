//! What is wrong with scripts is said at its place, all at once.

use super::{choice, loaded};
use crate::units::Protocol;
use crate::workload::pgbench::{BuiltIn, Chosen, ScriptSource, load};

/// What `dbdyno` would print, without the folder.
fn mistakes(text: &str, protocol: Protocol) -> String {
    let shown = loaded(text, protocol, &[("defined", "1")]).expect_err("there are mistakes").to_string();
    let place = |line: &str| match line.split_once("--> ") {
        Some((before, path)) => {
            format!("{before}--> {}", path.rsplit_once('/').map_or(path, |(_, name)| name))
        }
        None => line.to_owned(),
    };
    shown.lines().map(place).collect::<Vec<_>>().join("\n")
}

#[test]
fn commands_that_cannot_be_run_are_refused_with_a_reason() {
    let script = "\\set aid random(1, 100000 * :scal)\n\\set 2x 1\n\\set x\n\\set x 1 +\n\\set x foo(1)\n\\set x ramdom(1, 2)\n\
                  \\set x 1 < 2 < 3\n\\set x random(1)\n\\set x (1 + 2\n\\set x aid\n\\shell ls\n\\setshell y echo 1\n\\slep 1\n\
                  \\sleep\n\\sleep 1 min\n\\sleep soon\n\\gset\nSELECT :aidd;\n\\else\n\\endif 1\n\\if true\n\\else\n\\elif 1\n";
    insta::assert_snapshot!(mistakes(script, Protocol::Prepared));
}

#[test]
fn what_a_protocol_cannot_do_is_said_before_it_is_tried() {
    let script = "SELECT ':defined', '12:undefined';\nSELECT 1 \\; SELECT 2;\n\\startpipeline\nSELECT 1 \\gset\n\\startpipeline\n";
    insta::assert_snapshot!(mistakes(script, Protocol::Extended));
    insta::assert_snapshot!(mistakes(
        "\\startpipeline\nSELECT 1;\n\\endpipeline\n\\shell x\n",
        Protocol::Simple
    ));
}

#[test]
fn scripts_that_are_not_there_or_never_run_are_named() {
    let missing = Chosen { source: ScriptSource::File("no/such.sql".into()), weight: 0 };
    let shown = load(&choice(vec![missing], Protocol::Simple)).expect_err("there is none").to_string();
    insta::assert_snapshot!(shown);
    let many = vec![Chosen { source: ScriptSource::BuiltIn(BuiltIn::SelectOnly), weight: 1 }; 129];
    assert!(load(&choice(many, Protocol::Simple)).is_err());
    assert!(loaded("-- nothing\n", Protocol::Simple, &[]).is_err());
}
