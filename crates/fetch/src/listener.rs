//! Who hears what a fetch does: a library writes to nobody's terminal.

/// Hears what happens on the way, line by line, and how far long transfers are.
pub trait Listener {
    /// What is done next.
    fn info(&self, line: &str);

    /// What went wrong, or is removed. The fetch goes on.
    fn warn(&self, line: &str);

    /// A transfer of `total` bytes begins, if that is known.
    fn transfer(&self, what: &str, total: Option<u64>) -> Box<dyn Transfer>;
}

/// A transfer under way. It may be dropped before it is finished.
pub trait Transfer {
    /// So many bytes are done. Called many times a second.
    fn at(&mut self, bytes: u64);

    /// All is done.
    fn finish(self: Box<Self>, bytes: u64);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn info(&self, _: &str) {}

    fn warn(&self, _: &str) {}

    fn transfer(&self, _: &str, _: Option<u64>) -> Box<dyn Transfer> {
        Box::new(Self)
    }
}

impl Transfer for Silent {
    fn at(&mut self, _: u64) {}

    fn finish(self: Box<Self>, _: u64) {}
}
