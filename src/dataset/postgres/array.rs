//! Arrays of one dimension in PostgreSQL's binary form, from the text form in which lists are made.

use bytes::BufMut;

use super::wire::{Unfit, Wire};

/// Appends the array that `text` (`{1,2}`, `{"a","b \"c\""}`) spells.
pub(super) fn put(oid: u32, element: Wire, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
    let inner = text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}")).ok_or(Unfit::Kind)?;
    out.put_i32(i32::from(!inner.is_empty()));
    // Whether it holds NULLs; the server looks for itself.
    out.put_i32(0);
    out.put_u32(oid);
    if inner.is_empty() {
        return Ok(());
    }
    let count_at = out.len();
    out.put_i32(0);
    // The first element's number.
    out.put_i32(1);
    let mut count = 0_i32;
    let mut rest = inner;
    loop {
        rest = put_element(element, rest, out)?;
        count += 1;
        match rest.split_first() {
            Some((b',', behind)) => rest = behind,
            None => break,
            Some(_) => return Err(Unfit::Kind),
        }
    }
    out[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

/// Appends one element and gives what stands behind it.
fn put_element<'t>(element: Wire, text: &'t [u8], out: &mut Vec<u8>) -> Result<&'t [u8], Unfit> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return put_quoted(element, quoted, out);
    }
    let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = std::str::from_utf8(word).map_err(|_| Unfit::Kind)?;
    if word == "NULL" {
        out.put_i32(-1);
    } else {
        element.put_written(word, out)?;
    }
    Ok(rest)
}

fn put_quoted<'t>(element: Wire, quoted: &'t [u8], out: &mut Vec<u8>) -> Result<&'t [u8], Unfit> {
    let mut value = Vec::with_capacity(32);
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let text = std::str::from_utf8(&value).map_err(|_| Unfit::Kind)?;
                element.put_written(text, out)?;
                return Ok(&quoted[at + 1..]);
            }
            b'\\' => value.push(*bytes.next().ok_or(Unfit::Kind)?.1),
            byte => value.push(*byte),
        }
    }
    Err(Unfit::Kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(element: Wire, text: &str) -> Result<Vec<u8>, Unfit> {
        let mut out = vec![];
        put(23, element, text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn arrays_have_the_servers_bytes() {
        let header = |count: u8| [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, count, 0, 0, 0, 1].to_vec();
        assert_eq!(bytes(Wire::Int4, "{}"), Ok(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23]));
        let two = [header(2), vec![0, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0xFF, 0xFF]].concat();
        assert_eq!(bytes(Wire::Int2, "{7,-1}"), Ok(two));
        let texts =
            [header(3), vec![0, 0, 0, 4, b'a', b'"', b',', b'\\', 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]]
                .concat();
        assert_eq!(bytes(Wire::Text, r#"{"a\",\\",NULL,""}"#), Ok(texts));
        for wrong in ["", "{", "{\"a}", "{\"a\"b}", "{x}"] {
            assert!(bytes(Wire::Int4, wrong).is_err(), "{wrong}");
        }
    }
}
