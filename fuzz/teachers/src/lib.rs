//! Checkpoints and folders from the text that the fuzzer changes, and the checks that several targets use.
//!
//! Mutations hardly ever keep a binary file of weights valid, and how such files are read has targets of its own. So the
//! weights are lines of names and shapes here, which a dictionary can build and a mutation can change without breaking
//! the rest.

pub mod folder;
#[path = "../../src/memory.rs"]
pub mod memory;
pub mod request;
pub mod state;

use std::fmt::Display;

use fewstep_import::{Error, Recognised};

use crate::memory::bounded_by;

/// What a reader may hold at once beside its input: the largest networks that a description may ask for have some hundred
/// thousand tensors with names, and the largest tables a million numbers.
const MOST: usize = 128 << 20;
/// How long a message may be. The longest lists ten tensors by names of at most 120 characters, each up to ten when
/// escaped.
const LONGEST: usize = 20_000;

/// Runs all that an import does after recognising, and checks what it says.
pub fn import<'a>(recognise: impl FnOnce() -> Result<Recognised<'a>, Error>) {
    bounded_by(MOST, || match recognise() {
        Err(error) => check_message(&error),
        Ok(found) => {
            found.notes.iter().for_each(check_message);
            match found.config.build() {
                Err(error) => check_message(&error),
                Ok(network) => {
                    if let Err(error) = found.parameters(network.as_ref()) {
                        check_message(&error);
                    }
                }
            }
        }
    });
}

/// Runs a reader with the bound on what it holds.
pub fn bounded<T>(read: impl FnOnce() -> T) -> T {
    bounded_by(MOST, read)
}

/// Asserts what must hold for every message: it quotes the file, so it must be short, and nothing in it may control a
/// terminal.
pub fn check_message(message: &impl Display) {
    let text = message.to_string();
    assert!(text.len() < LONGEST, "a message of {} bytes: {text:.300}", text.len());
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a control character: {text:?}");
}
