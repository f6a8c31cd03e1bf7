//! Rows as CSV, without a database. The form is that of RFC 4180: a header line, lines that end in CR LF, quotes where a
//! value needs them; `COPY … WITH (FORMAT csv, HEADER)` reads it. NULL is an empty field, an empty text is `""`.

use std::io::{self, Write};

use crate::generate::{Dataset, write_plain};
use crate::sql::values::{Arena, Slot, put_hex};
use crate::workload::Table;

/// Bytes that are handed on at once.
const BUFFER_BYTES: usize = 64 * 1024;
const LINE_END: &[u8] = b"\r\n";

/// Writes the header line and the first `rows` rows of a table of the workload, `table` being its index. Memory does not
/// grow with the rows.
pub fn write_csv(
    dataset: &Dataset,
    table: usize,
    described: &Table,
    rows: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + BUFFER_BYTES / 8);
    for (index, column) in described.columns.iter().enumerate() {
        separate(index, &mut buffer);
        put_csv_text(column.name.as_bytes(), &mut buffer);
    }
    buffer.extend_from_slice(LINE_END);
    let mut arena = Arena::default();
    for row in 0..rows {
        arena.clear();
        for column in 0..described.columns.len() {
            separate(column, &mut buffer);
            put_csv(dataset.value(table, column, row, &mut arena), &arena, &mut buffer);
        }
        buffer.extend_from_slice(LINE_END);
        if buffer.len() >= BUFFER_BYTES {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)?;
    out.flush()
}

/// A value as text that the server reads back; NULL becomes nothing.
pub fn put_plain(slot: Slot, arena: &Arena, out: &mut Vec<u8>) {
    match slot {
        Slot::Text(range) => out.extend_from_slice(arena.get(range)),
        Slot::Bytes(range) => {
            out.extend_from_slice(b"\\x");
            put_hex(arena.get(range), out);
        }
        slot => write_plain(out, slot),
    }
}

fn separate(column: usize, out: &mut Vec<u8>) {
    if column > 0 {
        out.push(b',');
    }
}

/// A value as a field.
pub fn put_csv(slot: Slot, arena: &Arena, out: &mut Vec<u8>) {
    match slot {
        Slot::Text(range) => put_csv_text(arena.get(range), out),
        slot => put_plain(slot, arena, out),
    }
}

/// A text as a field.
pub fn put_csv_text(text: &[u8], out: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
    // A line of `\.` alone ends the input of psql before version 18.
    if !text.is_empty() && !text.iter().any(is_special) && text != b"\\." {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(slot: impl FnOnce(&mut Arena) -> Slot) -> String {
        let mut arena = Arena::default();
        let slot = slot(&mut arena);
        let mut out = vec![];
        put_csv(slot, &arena, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn fields_are_quoted_where_they_must_be_and_null_is_no_empty_text() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("\\.", "\"\\.\""),
        ] {
            assert_eq!(field(|arena| arena.text(text)), expected);
        }
        assert_eq!(field(|_| Slot::Null), "");
        assert_eq!(field(|_| Slot::Decimal { unscaled: -1205, scale: 2 }), "-12.05");
        assert_eq!(field(|arena| arena.bytes(&[0, 255])), "\\x00ff");
    }
}
