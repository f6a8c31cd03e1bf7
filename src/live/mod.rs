//! What a person sees while a measurement goes on: plain lines on standard error, or one line that is drawn anew on a terminal.
//! The only module below `cli` that prints.

mod bar;
mod plain;

pub use plain::Plain;
