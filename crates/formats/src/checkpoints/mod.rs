//! Model files of other programs: pickles of torch and of EDM, flax's msgpack, safetensors. All become a
//! [`Checkpoint`](crate::Checkpoint); [`sniff`] tells which it is. Nothing in them is executed.

pub mod edm_pickle;
pub mod flax;
mod msgpack;
pub(crate) mod pickle;
pub mod safetensors;
mod safetensors_header;
pub mod sniff;
pub mod torch_legacy;
pub mod torch_zip;
