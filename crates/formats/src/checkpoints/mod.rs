//! Model files of other programs: pickles of torch and EDM, flax's msgpack, safetensors. Each is read into a
//! [`Checkpoint`](crate::Checkpoint); [`sniff`] detects the format. Nothing in the files is executed.

pub mod edm_pickle;
pub mod flax;
mod msgpack;
pub(crate) mod pickle;
pub mod safetensors;
mod safetensors_header;
pub mod sniff;
pub mod torch_legacy;
pub mod torch_zip;
