//! Whole folders: what is said of bad ones.

use super::{DOCUMENT, QUERIES, document_with_more, folder, load, queries_with_more};

/// What the user sees, with the folder's own name in place of the test's.
fn said(document: &str, queries: &str) -> String {
    let folder = folder(&[("workload.toml", document), ("queries.sql", queries)]);
    let mistakes = load(folder.path()).expect_err("the folder has mistakes");
    mistakes.to_string().replace(&folder.path().display().to_string(), "shop")
}

#[test]
#[expect(clippy::too_many_lines, reason = "it shows what the user sees, all of it")]
fn all_mistakes_of_a_folder_are_reported_at_once() {
    let document = r#"nmae = "shop"

[table.customers]
rows = "many"
scale = false
[table.customers.column]
id = { sequnce = {} }
country = { weighted = { US = 48 }, null_fraction = 2 }

[table.orders]
[table.orders.column]
id = { sequence = {} }
customer_id = { reference = { table = "custmers" } }

[[transaction]]
name = "check out"
weight = -5
statements = ["insert_ordr", "insert_line"]
isolation = "read comitted"
retry = { on = ["4001"], max_tries = 0 }
[transaction.parameter]
product_id = { key = { table = "orders", column = "idd" } }
unused = { uniform = [1, 2] }

[[transaction]]
name = "browse"
wieght = 3
statements = ["insert_line"]
[transaction.parameter]
product_ld = { uniform = [1, 100], draw = "eech" }

[[stage]]
name = "baseline"
duration = "30"
rate = 10
clients = 3

[budget]
"brouse.p99" = "< 50ms"
"browse.p99" = "< 50"
"#;
    let queries = "-- name: insert_order :on\nSELECT 1;\n-- name: insert_line :exec\nINSERT INTO t VALUES (:product_id);\n";
    insta::assert_snapshot!(said(document, queries), @r###"
    error: unknown key `nmae`
     --> shop/workload.toml:1:1
      |
    1 | nmae = "shop"
      | ^^^^ not known here
      |
      = help: did you mean `name`?

    error: expected a whole number from 0, found the text `many`
     --> shop/workload.toml:4:8
      |
    4 | rows = "many"
      |        ^^^^^^ not a whole number from 0

    error: unknown key `scale`
     --> shop/workload.toml:5:1
      |
    5 | scale = false
      | ^^^^^ not known here
      |
      = help: did you mean `scales`?

    error: no generator is called `sequnce`
     --> shop/workload.toml:7:8
      |
    7 | id = { sequnce = {} }
      |        ^^^^^^^ not known
      |
      = help: did you mean `sequence`?

    error: `null_fraction` is a share
     --> shop/workload.toml:8:53
      |
    8 | country = { weighted = { US = 48 }, null_fraction = 2 }
      |                                                     ^
      |
      = note: expected a number from 0 to 1

    error: table `orders` has no `rows`
      --> shop/workload.toml:10:8
       |
    10 | [table.orders]
       |        ^^^^^^ `rows` is missing

    error: no table `custmers`
      --> shop/workload.toml:13:39
       |
    13 | customer_id = { reference = { table = "custmers" } }
       |                                       ^^^^^^^^^^ not described here
       |
       = help: did you mean `customers`?

    error: `check out` cannot be the name of a transaction
      --> shop/workload.toml:16:8
       |
    16 | name = "check out"
       |        ^^^^^^^^^^^ not a name
       |
       = help: letters, digits, `_` and `-` can stand in one

    error: a weight is above zero
      --> shop/workload.toml:17:10
       |
    17 | weight = -5
       |          ^^ expected a number above 0
       |
       = help: to leave a transaction out, take it away or comment it out

    error: no statement is called `insert_ordr`
      --> shop/workload.toml:18:15
       |
    18 | statements = ["insert_ordr", "insert_line"]
       |               ^^^^^^^^^^^^^ not in `queries.sql`
       |
       = help: did you mean `insert_order`?

    error: `read comitted` is not one of the choices
      --> shop/workload.toml:19:13
       |
    19 | isolation = "read comitted"
       |             ^^^^^^^^^^^^^^^ not known here
       |
       = help: did you mean `read committed`?

    error: `4001` is no SQLSTATE
      --> shop/workload.toml:20:17
       |
    20 | retry = { on = ["4001"], max_tries = 0 }
       |                 ^^^^^^ expected five characters, or two
       |
       = help: five digits or capitals: `40001` is a serialization failure,
               `40P01` a deadlock; two name a class: `40` is both

    error: the transaction is never tried
      --> shop/workload.toml:20:38
       |
    20 | retry = { on = ["4001"], max_tries = 0 }
       |                                      ^ expected at least 1, the first try

    error: `orders` has no column `idd`
      --> shop/workload.toml:22:51
       |
    22 | product_id = { key = { table = "orders", column = "idd" } }
       |                                                   ^^^^^ not described
       |
       = help: did you mean `id`?

    error: unknown key `wieght`
      --> shop/workload.toml:27:1
       |
    27 | wieght = 3
       | ^^^^^^ not known here
       |
       = help: did you mean `weight`?

    error: nothing gives `:product_id`
      --> shop/workload.toml:28:15
       |
    28 | statements = ["insert_line"]
       |               ^^^^^^^^^^^^^ `insert_line` needs `:product_id`
       |
       = help: did you mean `:product_ld`?

    error: parameter `product_ld` is never used
      --> shop/workload.toml:30:1
       |
    30 | product_ld = { uniform = [1, 100], draw = "eech" }
       | ^^^^^^^^^^ no statement of the transaction has `:product_ld`
       |
       = help: did you mean `product_id`?

    error: `eech` is not one of the choices
      --> shop/workload.toml:30:43
       |
    30 | product_ld = { uniform = [1, 100], draw = "eech" }
       |                                           ^^^^^^ not known here
       |
       = help: did you mean `each`?

    error: `30` is not a duration
      --> shop/workload.toml:34:12
       |
    34 | duration = "30"
       |            ^^^^ not understood
       |
       = help: write a number and a unit, such as `30s`, `2ms` or `1m 30s`

    error: `rate` and `clients` exclude each other
      --> shop/workload.toml:36:11
       |
    36 | clients = 3
       |           ^ the stage has a rate as well
       |
       = help: keep `rate` for an open loop, `clients` for a closed one,
               `sessions` for a partly open one

    error: no transaction is called `brouse`
      --> shop/workload.toml:39:1
       |
    39 | "brouse.p99" = "< 50ms"
       | ^^^^^^^^^^^^ not in this workload
       |
       = help: did you mean `browse`?

    error: `50` does not fit `browse.response.p99`, which is a time
      --> shop/workload.toml:40:16
       |
    40 | "browse.p99" = "< 50"
       |                ^^^^^^ not a limit of this metric
       |
       = help: write for example `< 50ms`

    error: `:on` is no number of rows
     --> shop/queries.sql:1:23
      |
    1 | -- name: insert_order :on
      |                       ^^^ not known
      |
      = help: did you mean `:one`?

    23 mistakes
    "###);
}

/// What is said of the good folder with one thing changed.
fn said_of(changes: &[(&str, &str)]) -> String {
    let (mut document, mut queries) = (DOCUMENT.to_owned(), QUERIES.to_owned());
    for (from, to) in changes {
        assert!(document.contains(from) || queries.contains(from), "{from}");
        document = document.replacen(from, to, 1);
        queries = queries.replacen(from, to, 1);
    }
    said(&document, &queries)
}

#[test]
fn every_break_of_the_syntax_is_shown() {
    insta::assert_snapshot!(said_of(&[("rate = 200", "rate ="), ("clients = 16", "clients = 2x")]), @r###"
    error: this is not TOML
      --> shop/workload.toml:54:7
       |
    54 | rate =
       |       ^ string values must be quoted, expected literal string

    error: this is not TOML
      --> shop/workload.toml:59:11
       |
    59 | clients = 2x
       |           ^^ string values must be quoted, expected literal string

    2 mistakes
    "###);
}

#[test]
fn a_single_bracket_is_told_from_two() {
    let document = "name = \"a\"\n[transaction]\nname = \"b\"\nstatements = [\"s\"]\n";
    insta::assert_snapshot!(said(document, "-- name: s :exec\nSELECT 1;"), @r###"
    error: `transaction` is a list of tables
     --> shop/workload.toml:2:1
      |
    2 | [transaction]
      | ^^^^^^^^^^^^^ expected a list
      |
      = help: write `[[transaction]]`, with two brackets
    "###);
}

#[test]
fn a_circle_of_tables_is_named() {
    let circle = "country = { reference = { table = \"orders\" } }";
    let from = "country = { weighted = { US = 48, DE = 20 }, null_fraction = 0.02 }";
    insta::assert_snapshot!(said_of(&[(from, circle)]), @r###"
    error: the tables refer to each other in a circle: orders → customers → orders
     --> shop/workload.toml:6:8
      |
    6 | [table.orders]
      |        ^^^^^^ none of them can be filled first
      |
      = help: make one of the references a plain generator, and set it in
              `finish.sql`
    "###);
}

#[test]
fn a_value_that_nothing_gives_is_told_why() {
    let many = said_of(&[("insert_order :one", "insert_order :many")]);
    insta::assert_snapshot!(many, @r###"
    error: nothing gives `:order_id`
      --> shop/workload.toml:39:13
       |
    39 | statement = "insert_line"
       |             ^^^^^^^^^^^^^ `insert_line` needs `:order_id`
       |
       = help: `insert_order` returns it, but only `:one` and `:optional`
               statements give values
    "###);
    let star = said_of(&[("RETURNING id AS order_id", "RETURNING *")]);
    insta::assert_snapshot!(star, @r###"
    error: nothing gives `:order_id`
      --> shop/workload.toml:39:13
       |
    39 | statement = "insert_line"
       |             ^^^^^^^^^^^^^ `insert_line` needs `:order_id`
       |
       = help: if it is in the `*` of `insert_order`, name it there
    "###);
    let late = said_of(&[
        ("-- name: insert_order :one", "-- name: insert_order :exec"),
        ("RETURNING id AS order_id", ""),
    ]);
    insta::assert_snapshot!(late, @r###"
    error: nothing gives `:order_id`
      --> shop/workload.toml:39:13
       |
    39 | statement = "insert_line"
       |             ^^^^^^^^^^^^^ `insert_line` needs `:order_id`
       |
       = help: draw `order_id` in `[transaction.parameter]`, or return it from an
               earlier `:one` statement
    "###);
}

#[test]
fn a_returned_name_that_is_also_drawn_is_refused() {
    let shadow = ("country_id = { key", "order_id = { uniform = [1, 2] }\ncountry_id = { key");
    insta::assert_snapshot!(said_of(&[shadow]), @r###"
    error: `order_id` is drawn and also returned by `insert_order`
      --> shop/workload.toml:49:1
       |
    49 | order_id = { uniform = [1, 2] }
       | ^^^^^^^^ a later step could mean either
       |
       = help: take this parameter away, or return the column under another name
               with AS
    "###);
}

#[test]
fn a_value_from_a_step_that_may_not_run_is_refused() {
    let maybe =
        ("statement = \"insert_order\"", "statement = \"insert_order\"\ntimes = { uniform = [0, 2] }");
    insta::assert_snapshot!(said_of(&[maybe]), @r###"
    error: `:order_id` comes from a step that may not run
      --> shop/workload.toml:37:9
       |
    37 | times = { uniform = [0, 2] }
       |         ^^^^^^^^^^^^^^^^^^^^ may be 0
       |
       = help: begin `uniform` at 1, or draw `order_id` in
               `[transaction.parameter]`
    "###);
}

#[test]
fn mistakes_stay_readable_at_eighty_columns() {
    let changes = [
        (
            "description = \"A small shop\"",
            "description = \"A small shop, of which much is to be said, so much that its line is far longer than any terminal is wide\"\nmood = 1",
        ),
        ("name = \"browse\"", "naem = \"browse\"\nisolation = \"dirty\""),
        ("\"checkout.response.p99\"", "\"checkout.reponse.p99\""),
        ("errors.rate", "\"latency\""),
        ("key = { table = \"countries\"", "key = { table = \"countries\", column = \"code\""),
        ("rate = 200", "rate = 0"),
    ];
    let text = said_of(&changes);
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}\n{text}");
    insta::assert_snapshot!(text, @r###"
    error: unknown key `mood`
     --> shop/workload.toml:4:1
      |
    4 | mood = 1
      | ^^^^ not known here
      |
      = help: known are `name`, `description`, `protocol`, `statement_timeout`,
              `scale`, `engines`, `table`, `transaction`, `measure`, `gauge`,
              `stage`, `budget`

    error: unknown key `naem`
      --> shop/workload.toml:24:1
       |
    24 | naem = "browse"
       | ^^^^ not known here
       |
       = help: did you mean `name`?

    error: `dirty` is not one of the choices
      --> shop/workload.toml:25:13
       |
    25 | isolation = "dirty"
       |             ^^^^^^^ not known here
       |
       = help: known are `read committed`, `repeatable read`, `serializable`

    error: the columns of `countries` are not described here
      --> shop/workload.toml:51:54
       |
    51 | country_id = { key = { table = "countries", column = "code" } }
       |                                                      ^^^^^^
       |
       = note: cannot be computed
       = help: without `column`, the keys are 1 to the number of rows

    error: the stage offers no load
      --> shop/workload.toml:56:8
       |
    56 | rate = 0
       |        ^ expected more than 0 transactions per second

    error: no time is called `reponse` (did you mean `response`?)
      --> shop/workload.toml:64:1
       |
    64 | "checkout.reponse.p99" = "< 50ms"
       | ^^^^^^^^^^^^^^^^^^^^^^ not a metric
       |
       = help: there are `response`, `service`, `pool_wait` and `lag`

    error: no metric is called `latency`
      --> shop/workload.toml:66:1
       |
    66 | "latency" = "< 0.1%"
       | ^^^^^^^^^ not a metric
       |
       = help: there are times such as `response.p99`, `errors.rate`,
               `throughput`, `pool.saturated`, `measure.NAME.p99`,
               `gauge.NAME.max`, and any figure of a stage, such as
               `stages[].server.deadlocks`

    7 mistakes
    "###);
}

#[test]
fn a_folder_without_a_workload_says_what_is_missing() {
    let folder = folder(&[]);
    let mistakes = load(folder.path()).expect_err("an empty folder");
    let messages: Vec<&str> = mistakes.items().iter().map(|mistake| mistake.message.as_str()).collect();
    assert!(
        matches!(messages.as_slice(), [document, queries]
        if document.contains("workload.toml") && queries.contains("queries.sql")),
        "{messages:?}"
    );
}

#[test]
fn what_is_missing_is_asked_for() {
    let document = "name = \"\"\n[[stage]]\nname = \"a\"\nduration = \"0s\"\n";
    insta::assert_snapshot!(said(document, "SELECT 1;\n-- name: a\nSELECT 2;\n"), @r###"
    error: the workload's name is empty
     --> shop/workload.toml:1:8
      |
    1 | name = ""
      |        ^^ expected a name

    error: the stage has no load
     --> shop/workload.toml:2:1
      |
    2 | [[stage]]
      | ^^^^^^^^^ no `rate`, `clients` or `sessions`
      |
      = help: write `rate = 200` (transactions per second), `clients = 16`, or
              `sessions = 5` (per second) with `transactions = 8`

    error: the stage lasts no time
     --> shop/workload.toml:4:12
      |
    4 | duration = "0s"
      |            ^^^^ expected more than zero

    error: the workload has no transaction
     --> shop/workload.toml:4:16
      |
    4 | duration = "0s"
      |                ^ nothing to run
      |
      = help: write at least one `[[transaction]]` with `statements = ["…"]`

    error: this statement has no name
     --> shop/queries.sql:1:1
      |
    1 | SELECT 1;
      | ^^^^^^^^ no name line before it
      |
      = help: write `-- name: product_by_id :one` above it

    error: `a` does not say how many rows it gives
     --> shop/queries.sql:2:1
      |
    2 | -- name: a
      | ^^^^^^^^^^ not said here
      |
      = help: the choices are `:one`, `:optional`, `:many` and `:exec`

    6 mistakes
    "###);
}

#[test]
fn a_transaction_cannot_be_called_like_a_metric() {
    let pool = said_of(&[("name = \"browse\"", "name = \"response\"")]);
    insta::assert_snapshot!(pool, @r###"
    error: a transaction cannot be called `response`
      --> shop/workload.toml:23:8
       |
    23 | name = "response"
       |        ^^^^^^^^^^ already means something
       |
       = help: `response` is a part of the paths of metrics; choose another name
    "###);
}

/// What the user sees when these words of the larger document are replaced.
fn said_of_more(changes: &[(&str, &str)]) -> String {
    let mut texts = [document_with_more(), queries_with_more()];
    for (good, bad) in changes {
        let text = texts.iter_mut().find(|text| text.contains(good)).unwrap_or_else(|| panic!("{good}"));
        *text = text.replacen(good, bad, 1);
    }
    said(&texts[0], &texts[1])
}

#[test]
fn a_parameter_that_shares_no_row_is_told_why() {
    insta::assert_snapshot!(said_of_more(&[
        ("same_row = { as = \"order_id\" }", "same_row = { as = \"ordr_id\" }, draw = \"each\""),
        (
            "same_row = { as = \"country\", column = \"id\" }",
            "same_row = { as = \"country\", column = \"idd\" }"
        ),
        (
            "hot = { share_of_draws = 0.9, share_of_keys = 0.1 }",
            "hot = { share_of_draws = 0.9, share_of_keys = 1 }"
        ),
        (", otherwise = { key = { table = \"orders\", latest = 0.99 } }", ""),
    ]));
}

#[test]
fn a_statement_that_returns_nothing_to_keep_is_named() {
    insta::assert_snapshot!(said_of_more(&[
        ("by = \"insert_order\"", "by = \"insert_line\""),
        ("latest = 0.99", "latest = 0.99, zipf = 1.1"),
        ("statement = \"line_of_order\"", "statement = \"customer_by_id\""),
        ("every = \"500ms\"", "every = \"5ms\""),
        ("SELECT count(*) FROM orders\"", "SELECT count(*) FROM orders; SELECT 1\""),
    ]));
}

#[test]
fn a_budget_names_what_is_measured_and_in_its_unit() {
    insta::assert_snapshot!(said_of_more(&[(
        "\"checkout.response.p99\" = \"< 50ms\"",
        "\"measure.line_numbr.p99\" = \"< 5\"\n\"measure.line_number.p99\" = \"< 5ms\"\n\"gauge.open_orders.max\" = \"< 1MB\"\n\
         \"measure.line_number.p98\" = \"< 5\"",
    )]));
}

#[test]
fn a_budget_that_is_a_change_names_what_is_measured_and_gets_worse() {
    insta::assert_snapshot!(said_of_more(&[(
        "\"checkout.response.p99\" = \"< 50ms\"",
        "\"chekout.p99\" = \"< +10% of main\"\n\"checkout.insert_ordr.execute.mean\" = \"< +10%\"\n\
         \"checkout.p98\" = \"< +10%\"\n\"checkout.p99\" = \"> -10% of main\"",
    )]));
}

#[test]
fn a_name_of_a_table_that_sql_would_not_read_is_refused() {
    insta::assert_snapshot!(said_of_more(&[
        ("[table.countries]", "[table.coun-tries]"),
        ("table = \"countries\"", "table = \"coun-tries\"")
    ]));
}

/// Each mistake of a document, and the bytes that it points at.
fn blamed(document: &str) -> Vec<(String, String)> {
    let folder = folder(&[("workload.toml", document), ("queries.sql", "-- name: a :exec\nSELECT 1;\n")]);
    let mistakes = load(folder.path()).expect_err("the document has mistakes");
    let of = |mistake: &crate::diagnostic::Mistake| {
        let source = mistake.source.expect("a place in the document");
        (mistake.message.clone(), mistakes.text(source)[mistake.span.clone()].to_owned())
    };
    mistakes.items().iter().map(of).collect()
}

#[test]
fn mistakes_in_columns_point_at_their_places() {
    let document = r#"
name = "columns"
[table.parents]
rows = 10
[table.parents.column]
id = { sequence = {} }
kind = { weighted = { a = 1, b = 1 } }
[table.children]
rows = 100
[table.children.column]
parent_id = { reference = { table = "parents", fan_out = { each = [0, 30] } } }
other_id = { reference = { table = "parents", distinct_per = "parent_id" } }
few = { uniform = [1, 9], unique = true }
misspelt = { uniform = [1, 9], uniqe = true }
twice = { uniform = [1, 9], correlation = 7 }
sum = { expression = "few + round(parent_id.kind)" }
end = { expression = "few +" }
size = { conditional = { on = "kind", when = { a = { constant = 1 } } } }
kind = { lookup = { through = "parent_id", column = "kind" } }
shape = { conditional = { on = "kind", when = { c = { constant = 1 } } } }
bounds = { histogram = { bounds = [3, 2] } }
circle = { expression = "spiral" }
spiral = { expression = "circle" }
[[transaction]]
name = "a"
statements = ["a"]
"#;
    let whole = |column: &str| {
        let line = document.lines().find(|line| line.starts_with(&format!("{column} ="))).expect("its line");
        line.split_once(" = ").expect("a description").1
    };
    let expected = [
        ("30 different rows for one parent, where there are 10", whole("other_id")),
        ("100 rows cannot have different values, there are 9", whole("few")),
        ("unknown key `uniqe`", "uniqe"),
        ("`correlation` is a correlation", "7"),
        ("`round` wants a number, this is text", "parent_id.kind"),
        ("the expression ends too early", "+"),
        ("no value of `kind` `c`", "c"),
        ("the bounds `3` and `2` are out of order", whole("bounds")),
        ("the value of `children.circle` would need itself", whole("circle")),
        ("the value of `children.spiral` would need itself", whole("spiral")),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(message, blamed)| ((*message).to_owned(), (*blamed).to_owned())).collect();
    assert_eq!(blamed(document), expected);
}

#[test]
fn a_value_that_is_made_of_too_many_others_is_refused_at_once() {
    let mut columns = "c0 = { uniform = [1, 9] }\n".to_owned();
    for index in 1..40 {
        columns += &format!("c{index} = {{ expression = \"c{0} + c{0}\" }}\n", index - 1);
    }
    let document = format!(
        "name = \"chain\"\n[table.t]\nrows = 3\n[table.t.column]\n{columns}[[transaction]]\nname = \"a\"\nstatements = [\"a\"]\n"
    );
    // Each is made of twice as many as the one before it: 2 + 2 × 2 + … beyond ten thousand from the thirteenth on.
    let blamed = blamed(&document);
    assert_eq!(blamed.len(), 39 - 12, "{blamed:?}");
    assert!(blamed[0].0.contains("`t.c13` is made of too many others"), "{:?}", blamed[0]);
}

/// How a transaction begins and how it is sent: what cannot be, with what would help.
#[test]
fn modes_and_pipelines_that_cannot_be_are_refused() {
    let document = r#"name = "modes"
protocol = "simple"
statement_timeout = "500us"

[[transaction]]
name = "read"
statements = ["write", "lock"]
read_only = true
deferrable = true
set = { "work mem" = "1MB", work_mem = [1] }

[[transaction]]
name = "sent"
pipeline = true
retry = { on = ["40", "4"], max_tries = 2, backoff = "1s", backoff_max = "5ms" }
[[transaction.step]]
statement = "give"
times = 2
[[transaction.step]]
statement = "take"
hold = "1ms"
[measure.given]
statement = "give"
column = "id"
unit = "count"
"#;
    let queries = "-- name: write :exec\nUPDATE t SET a = 1;\n-- name: lock :many\nSELECT 1 FROM t FOR SHARE;\n\
                   -- name: give :one\nSELECT 1 AS id;\n-- name: take :exec\nUPDATE t SET a = :id;\n";
    let said = said(document, queries);
    for expected in [
        "`statement_timeout` counts whole milliseconds",
        "`write` cannot run in a read-only transaction",
        "`lock` cannot run in a read-only transaction",
        "`deferrable` is for transactions that are serializable and read only",
        "add `isolation = \"serializable\"`",
        "`work mem` cannot be the name of a setting",
        "a text, a number or a truth value",
        "the simple protocol has no pipelines",
        "`4` is no SQLSTATE",
        "the longest pause is shorter than the first",
        "a pipeline is sent at once, and `take` waits before it",
        "`take` needs `:id`, which `give` returns in the same pipeline",
        "`give` may run more than once, and what it returns is kept",
    ] {
        assert!(said.contains(expected), "{expected} is missing in\n{said}");
    }
}

/// Each wrong stage has one mistake, which points at what is wrong with it and says what would be right.
#[test]
fn what_a_stage_cannot_put_on_is_said_at_its_place() {
    let cases = [
        ("rate = \"fast\"", "\"fast\"", "expected a number or a table such as `{ ramp = [100, 800] }`"),
        ("rate = -3", "-3", "the stage offers less than nothing"),
        ("rate = nan", "nan", "the stage offers too much"),
        ("rate = { ramp = [0, 0] }", "{ ramp = [0, 0] }", "the stage offers no load"),
        ("rate = { ramp = [1] }", "[1]", "expected a list of 2"),
        ("rate = { rampp = [1, 2] }", "rampp", "unknown key `rampp`"),
        ("rate = { steps = [] }", "{ steps = [] }", "this is no list of steps"),
        ("rate = { base = 1, spike = 9 }", "{ base = 1, spike = 9 }", "`rate` says not what is meant"),
        (
            "rate = { base = 1, spike = 9, at = \"50s\", for = \"11s\" }",
            "{ base = 1, spike = 9, at = \"50s\", for = \"11s\" }",
            "the spike ends 1m 1s after the beginning, the stage already after 1m",
        ),
        ("rate = { base = 1, spike = 9, at = \"50\", for = \"11s\" }", "\"50\"", "`50` is not a duration"),
        ("clients = 2.5", "2.5", "part of a client cannot be"),
        ("clients = 1\narrivals = \"poisson\"", "\"poisson\"", "`arrivals` goes with `rate` or `sessions`"),
        ("clients = 1\nmax_lag = \"1s\"", "\"1s\"", "`max_lag` goes with `rate` or `sessions`"),
        ("rate = 1\narrivals = \"normal\"", "\"normal\"", "`normal` is not one of the choices"),
        ("rate = 1\nthink = \"1s\"", "\"1s\"", "`think` goes with `clients` or `sessions`"),
        ("rate = 1\ntransactions = 3", "3", "`transactions` goes with `sessions`"),
        ("clients = 1\nthink = \"0s\"", "\"0s\"", "this is no think time"),
        ("clients = 1\nthink = 200", "200", "expected a duration such as `\"200ms\"`"),
        (
            "clients = 1\nthink = { uniform = [\"2s\", \"1s\"] }",
            "{ uniform = [\"2s\", \"1s\"] }",
            "this is no think time",
        ),
        ("clients = 1\nthink = { exponential = \"1s\" }", "\"1s\"", "expected a table"),
        ("clients = 1\nthink = { normal = \"1s\" }", "normal", "unknown key `normal`"),
        ("clients = 1\nthink = {}", "{}", "`think` says not what is meant"),
        ("sessions = 1", "[[stage]]", "the stage does not say how many transactions a session makes"),
        ("sessions = 1\ntransactions = 0", "0", "this is no number of transactions"),
        (
            "sessions = 1\ntransactions = { geometric = { mean = 0.5 } }",
            "{ geometric = { mean = 0.5 } }",
            "this is no number of transactions",
        ),
        (
            "rate = 1\nsessions = 25\ntransactions = 3\nthink = \"1s\"",
            "25",
            "`rate` and `sessions` exclude each other",
        ),
    ];
    for (load_keys, at, message) in cases {
        let document = format!(
            "name = \"a\"\n[[transaction]]\nname = \"t\"\nstatements = [\"s\"]\n[[stage]]\nname = \"s\"\nduration = \"1m\"\n{load_keys}\n"
        );
        let folder =
            folder(&[("workload.toml", &document), ("queries.sql", "-- name: s :exec\nSELECT 1;\n")]);
        let mistakes = load(folder.path()).expect_err(load_keys);
        let [mistake] = mistakes.items() else { panic!("{load_keys}: {mistakes}") };
        assert!(mistake.message.starts_with(message), "{load_keys}: {mistakes}");
        assert_eq!(&document[mistake.span.clone()], at, "{load_keys}: {mistakes}");
        assert!(!mistake.label.is_empty(), "{load_keys}: {mistakes}");
    }
}
