//! Networks that are told a time: `F(x, time, labels)`, as the codes of DDPM, ADM and flow matching have them.
//!
//! Such a network knows no noise levels. A [`TimeInput`] says which time it is told at a level, in which scale it takes the
//! state, and how the clean image follows from its output. A [`Backbone`] is the network itself, and [`TimedNetwork`] puts
//! both together.

mod input;
mod network;

pub(crate) use input::Told;
pub use input::{LineTime, TimeInput};
pub use network::TimedNetwork;
pub(crate) use network::{Backbone, TimedConfig};
