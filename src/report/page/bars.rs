//! Stacked bars: parts of a whole, a row for each whole, one colour for each part. Drawn without a script, so that they stand in print
//! and in a mail as well. Knows nothing of what the parts mean.

use super::html::{CLOSE_TABLE, escape, open_table};
use crate::report::format::percent;

/// A share below this has no bar.
const SHARE_MIN: f64 = 0.001;
/// What a whole has in it: its name, and the number of its colour, from 1 to 12.
pub(super) type Part = (String, u8);

/// One bar.
pub(super) struct Bar {
    /// Whose it is.
    pub(super) name: String,
    /// How much the whole is.
    pub(super) whole: String,
    /// Shares of the whole, in the order of the parts; what is below nothing has no bar.
    pub(super) shares: Vec<f64>,
}

/// A table of bars with its legend. Parts that nothing has are left out.
pub(super) fn stacked(title: &str, note: &str, whole: &str, parts: &[Part], bars: &[Bar]) -> String {
    let used: Vec<usize> = (0..parts.len())
        .filter(|&part| bars.iter().any(|bar| bar.shares.get(part).is_some_and(|share| *share >= 0.005)))
        .collect();
    let mut html = format!(
        "<figure class=\"bars\"><figcaption><h3>{}</h3><p class=\"note\">{}</p></figcaption>\n<ul class=\"legend\">",
        escape(title),
        escape(note)
    );
    for &part in &used {
        let (name, colour) = &parts[part];
        html.push_str(&format!("<li><i class=\"b{colour}\"></i>{}</li>", escape(name)));
    }
    html.push_str("</ul>\n");
    html.push_str(&open_table(title));
    html.push_str(&format!(
        "<thead><tr><th scope=\"col\">of</th><th scope=\"col\" class=\"n\">{}</th><th scope=\"col\" class=\"wide\">parts</th></tr></thead>\n<tbody>\n",
        escape(whole)
    ));
    for bar in bars {
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"wide\">{}</td></tr>\n",
            escape(&bar.name),
            escape(&bar.whole),
            drawn(bar, parts, &used)
        ));
    }
    html.push_str(CLOSE_TABLE);
    html.push_str("</figure>\n");
    html
}

/// The bar, stretched to whatever room there is; what does not fit into the whole is cut off at its end.
fn drawn(bar: &Bar, parts: &[Part], used: &[usize]) -> String {
    let mut words = Vec::new();
    let mut pieces = String::new();
    let mut at = 0.0;
    for &part in used {
        let share = bar.shares.get(part).copied().unwrap_or(0.0).min(1.0 - at);
        if share < SHARE_MIN {
            continue;
        }
        let (name, colour) = &parts[part];
        let said = format!("{name} {}", percent(share));
        pieces.push_str(&format!(
            "<rect class=\"b{colour}\" x=\"{:.2}\" width=\"{:.2}\" height=\"10\"><title>{}</title></rect>",
            at * 100.0,
            share * 100.0,
            escape(&said)
        ));
        words.push(said);
        at += share;
    }
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{pieces}</svg>",
        escape(&words.join(", "))
    )
}

#[cfg(test)]
mod tests {
    use super::{Bar, stacked};

    #[test]
    fn parts_lie_one_behind_the_other_and_never_beyond_the_whole() {
        let parts = [("lag", 1), ("lock", 8), ("rest", 12)].map(|(name, colour)| (name.to_owned(), colour));
        let bar = Bar { name: "a <b>".to_owned(), whole: "1 ms".to_owned(), shares: vec![0.25, 0.5, 0.4] };
        let html = stacked("title", "", "mean", &parts, &[bar]);
        assert!(html.contains("x=\"0.00\" width=\"25.00\""), "{html}");
        assert!(html.contains("class=\"b8\" x=\"25.00\" width=\"50.00\""), "{html}");
        assert!(html.contains("x=\"75.00\" width=\"25.00\""), "what is too much is cut off: {html}");
        assert!(html.contains("a &lt;b&gt;") && !html.contains("a <b>"));
    }

    #[test]
    fn what_nobody_has_is_not_in_the_legend() {
        let parts = [("lag".to_owned(), 1), ("lock".to_owned(), 8)];
        let bar = Bar { name: "a".to_owned(), whole: String::new(), shares: vec![0.0, 1.0] };
        let html = stacked("title", "", "mean", &parts, &[bar]);
        assert!(!html.contains("lag") && html.contains("lock 100"), "{html}");
    }
}
