//! A statement's text with places for values, for what is sent as one text. Knows no engine's way to write a value.

use crate::sql::named::Place;

/// A text with places for values.
pub(super) struct Template {
    sql: Box<str>,
    places: Box<[Place]>,
}

impl Template {
    pub(super) fn new(sql: &str, places: &[Place]) -> Self {
        Self { sql: sql.into(), places: places.into() }
    }

    /// Appends the text with each place filled by `put`. Where that fails, says whose value it was.
    pub(super) fn put<E>(
        &self,
        out: &mut Vec<u8>,
        mut put: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), (usize, E)> {
        let mut from = 0;
        for place in &self.places {
            out.extend_from_slice(&self.sql.as_bytes()[from..place.range.start]);
            put(place.input, out).map_err(|unfit| (place.input, unfit))?;
            from = place.range.end;
        }
        out.extend_from_slice(&self.sql.as_bytes()[from..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::named::positional;

    #[test]
    fn values_stand_where_the_parameters_stood() {
        let read = positional("SELECT ':a', :b, :a -- :c\n, x[1:a] FROM t WHERE y = :a");
        let template = Template::new(&read.sql, &read.places);
        let mut out = b"before ".to_vec();
        let put = |input: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(format!("<{input}>").as_bytes());
            Ok::<(), ()>(())
        };
        template.put(&mut out, put).expect("a text");
        let expected = "before SELECT ':a', <0>, <1> -- :c\n, x[1:a] FROM t WHERE y = <1>";
        assert_eq!(String::from_utf8_lossy(&out), expected);
        let refused = template.put(&mut out, |input, _| if input == 1 { Err("unfit") } else { Ok(()) });
        assert_eq!(refused, Err((1, "unfit")));
    }
}
