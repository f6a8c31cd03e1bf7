//! A server that answers by script.
