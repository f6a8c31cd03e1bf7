//! What is computed, what is refused and where.

use super::{ExpressionError, parse};
use crate::generate::ValueKind;
use crate::generate::json::plain;
use crate::generate::value::Made;
use crate::sql::values::Slot;

fn kind_of(name: &super::Name) -> ValueKind {
    match name.column.as_str() {
        "name" => ValueKind::Text,
        "day" => ValueKind::Date,
        "at" => ValueKind::Timestamp,
        "price" => ValueKind::Decimal,
        "ratio" => ValueKind::Float,
        "yes" => ValueKind::Bool,
        _ => ValueKind::Int,
    }
}

fn value(text: &str) -> String {
    let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    expression.kind(&kind_of).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let mut out = b"kept ".to_vec();
    let made = expression.eval(
        &mut |name, out| {
            Made::Scalar(match name.column.as_str() {
                "name" => {
                    out.extend_from_slice("Zoë".as_bytes());
                    return Made::Text;
                }
                "day" => Slot::Date(19_723),
                "at" => Slot::Timestamp(1_704_067_200_000_001),
                "price" => Slot::Decimal { unscaled: 1250, scale: 2 },
                "ratio" => Slot::Float(0.5),
                "yes" => Slot::Bool(true),
                "none" => Slot::Null,
                "seven" => Slot::Int(7),
                "huge" => Slot::Int(i64::MAX),
                other => panic!("{other}"),
            })
        },
        &mut out,
    );
    match made {
        Made::Scalar(Slot::Null) => "NULL".to_owned(),
        Made::Scalar(slot) => {
            assert_eq!(out, b"kept ", "{text}");
            plain(&mut out, slot);
            String::from_utf8(out.split_off(5)).expect("UTF-8")
        }
        _ => String::from_utf8(out.split_off(5)).expect("UTF-8"),
    }
}

#[test]
fn values_are_those_of_sql() {
    for (text, expected) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3"),
        ("-7 % 3", "-1"),
        ("7 - 2 - 1", "4"),
        ("- seven", "-7"),
        ("7.0 / 2", "3.500000"),
        ("2.0 / 3", "0.666667"),
        ("price * seven", "87.50"),
        ("price * 1.19", "14.8750"),
        ("round(price * 1.19, 2)", "14.88"),
        ("round(price)", "13"),
        ("floor(-0.5)", "-1"),
        ("ceil(price)", "13"),
        ("abs(3 - seven)", "4"),
        ("ratio * 3", "1.5"),
        ("least(3, seven, none)", "3"),
        ("max(3.5, seven)", "7"),
        ("coalesce(none, seven)", "7"),
        ("none + 1", "NULL"),
        ("seven / (seven - 7)", "NULL"),
        ("huge + 1", "NULL"),
        ("1 = 1.00 and not seven < 7", "true"),
        ("yes or none = 1", "true"),
        ("none = 1 and yes", "NULL"),
        ("none is null", "true"),
        ("seven is not null", "true"),
        ("case when seven > 10 then 'many' when seven > 5 then 'some' else 'few' end", "some"),
        ("case when seven > 10 then 1 end", "NULL"),
        ("'a' || name || 7 || 'it''s'", "aZoë7it's"),
        ("upper('abc') || length(name)", "ABC3"),
        ("'b' > 'a'", "true"),
        ("day + 1", "2024-01-02"),
        ("date(at) - day", "0"),
        ("\"seven\" + x.seven", "14"),
        ("1_000 <> 999", "true"),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn mistakes_point_at_their_place() {
    let wrong = |text: &str| -> ExpressionError {
        match parse(text) {
            Err(error) => error,
            Ok(expression) => expression.kind(&kind_of).expect_err(text),
        }
    };
    for (text, message, blamed) in [
        ("", "the expression ends too early", ""),
        ("seven *", "the expression ends too early", "*"),
        ("seven * * 2", "`*` is not expected", "*"),
        ("seven seven", "`seven` is not expected", "seven"),
        ("(seven + 1", "a parenthesis is not closed", "("),
        ("round(seven", "a parenthesis is not closed", "("),
        ("'open", "a ' has no partner", "'open"),
        ("rond(price)", "no function is called `rond`", "rond"),
        ("abs(1, 2)", "`abs` has 2 values", "abs(1, 2)"),
        ("name * 2", "`*` wants a number, this is text", "name"),
        ("case when seven then 1 end", "a condition is wanted, this is whole numbers", "seven"),
        (
            "case when yes then 1 else 'a' end",
            "this is text, and what it stands with is whole numbers",
            "'a'",
        ),
        ("case when yes then 1", "`end` is missing", "1"),
        ("null", "the expression is always NULL", "null"),
        ("1.2.3", "`1.2.3` is not a number", "1.2.3"),
        ("seven = name", "this is text, and what it stands with is whole numbers", "name"),
        ("case else 1 end", "this `case` has no `when`", "case "),
        ("1 + end", "`end` is not expected", "end"),
        ("day + 1.5", "a number of days is wanted, this is numbers with digits after the point", "1.5"),
    ] {
        let error = wrong(text);
        assert_eq!((error.message.as_str(), &text[error.at.clone()]), (message, blamed), "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(wrong(&deep).message, "the expression nests too deep");
}

#[test]
fn a_long_expression_is_answered_at_once_and_one_without_end_refused() {
    let sum = |terms: usize| vec!["1"; terms].join(" + ");
    let expression = parse(&sum(400)).expect("right");
    assert_eq!(expression.kind(&|_| ValueKind::Int), Ok(ValueKind::Int));
    let endless = parse(&sum(100_000)).expect_err("a hundred thousand levels");
    assert_eq!(endless.message, "the expression is too long");
}

#[test]
fn what_can_be_null_is_known() {
    for (text, expected) in [
        ("seven * 2", false),
        ("none * 2", true),
        ("coalesce(none, 0)", false),
        ("seven / 2", false),
        ("seven / seven", true),
        ("seven / greatest(seven, 1)", false),
        ("case when yes then 1 end", true),
        ("case when none > 1 then 1 else 2 end", false),
        ("none is null", false),
    ] {
        let expression = parse(text).expect("right");
        assert_eq!(expression.nullable(&|name| name.column == "none"), expected, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered(text in "[a-z0-9_ .,'\"()+*/%<>=|-]{0,40}") {
        if let Err(error) = parse(&text) {
            proptest::prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error);
        }
    }
}
