//! Tests that need several crates at once. The library part is the parity harness: it holds the project to numbers that
//! other programs computed; `tests/parity.rs` runs it over the vectors, `tests/harness.rs` proves that it can fail.

pub mod parity;
