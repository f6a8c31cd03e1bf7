//! What a workload wants of the columns that a statement returns, held against what the server says of them. Knows no server.

/// The place of the only column of this name among the names of all that are `returned`. The error is an SQLSTATE and a message.
pub(super) fn place_of(name: &str, returned: &[&str]) -> Result<usize, (&'static str, String)> {
    let mut places = (0..returned.len()).filter(|place| returned[*place] == name);
    let Some(place) = places.next() else {
        let message = format!("it returns no column `{name}` (it returns: {})", returned.join(", "));
        return Err(("42703", message));
    };
    if places.next().is_some() {
        let message = format!("it returns more than one column `{name}` (give one of them an alias)");
        return Err(("42702", message));
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_wanted_once() {
        let of = |name: &str| place_of(name, &["id", "note", "id"]).map_err(|(code, _)| code);
        assert_eq!((of("note"), of("id"), of("word")), (Ok(1), Err("42702"), Err("42703")));
        let (_, message) = place_of("word", &["id", "note"]).expect_err("it is not there");
        assert_eq!(message, "it returns no column `word` (it returns: id, note)");
    }
}
