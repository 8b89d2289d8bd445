//! `bench`: set up, then the benchmarks, in the same surroundings as the tests; `bench eval`: the evaluation library
//! and the package pytorch-fid side by side; `bench step --peer` and `bench sample --peer`: the program and PyTorch.

pub(crate) mod eval;
mod pairs;
mod peer;
pub(crate) mod speed;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::{process, setup, test};

pub(crate) fn run(checkout: &Checkout, filter: Option<&str>) -> Result<()> {
    let libtorch = setup::ensure(checkout)?;
    let mut command = process::cargo(checkout);
    // Benchmarks alone: without the pattern every crate's unit tests are built too, only to say that none was run.
    command.args(["bench", "--workspace", "--bench", "*", "--"]).args(filter);
    test::environment(&mut command, &libtorch)?;
    process::become_program(&mut command)
}
