//! The 2015 TensorFlow Inception-v3 (arXiv 1512.00567) as a table: blocks in order, each with branches whose outputs
//! are concatenated. It differs from torchvision's network in its average pools, which do not count the padding, and
//! in the maximum pool of the last block.
//!
//! Every convolution has two names: one in pytorch-fid's state dict (`Mixed_5b.branch1x1`) and one in the
//! TorchScript archive (`net.layers.mixed.conv`).

use Pool::{Average, Maximum, MaximumHalving};

/// A 3x3 pool at the start of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Mean over the pixels inside the image, stride 1.
    Average,
    /// Maximum, stride 1.
    Maximum,
    /// Maximum, stride 2, no padding.
    MaximumHalving,
}

/// A convolution, its batch norm and its rectifier.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvSpec {
    name: &'static str,
    script: &'static str,
    pub(super) outputs: i64,
    pub(super) kernel: [i64; 2],
    pub(super) stride: i64,
    pub(super) padding: [i64; 2],
}

/// A pool, then a chain of convolutions, then parallel convolutions on the chain's output.
#[derive(Debug, Clone, Default)]
pub(super) struct BranchSpec {
    pub(super) pool: Option<Pool>,
    pub(super) chain: Vec<ConvSpec>,
    pub(super) fork: Vec<ConvSpec>,
}

/// Branches on one input, concatenated in this order.
#[derive(Debug, Clone)]
pub(super) struct BlockSpec {
    name: &'static str,
    script: &'static str,
    pub(super) branches: Vec<BranchSpec>,
}

impl BlockSpec {
    /// pytorch-fid's name of a convolution of this block.
    pub(super) fn name(&self, conv: &ConvSpec) -> String {
        [self.name, conv.name].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(".")
    }

    /// The TorchScript archive's name of a convolution of this block.
    pub(super) fn script_name(&self, conv: &ConvSpec) -> String {
        let parts = ["net.layers", self.script, conv.script];
        parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(".")
    }
}

impl BranchSpec {
    /// Output channels of the branch, given its input channels.
    pub(super) fn outputs(&self, inputs: i64) -> i64 {
        match self.fork.as_slice() {
            [] => self.chain.last().map_or(inputs, |conv| conv.outputs),
            fork => fork.iter().map(|conv| conv.outputs).sum(),
        }
    }

    fn then_fork(mut self, fork: [ConvSpec; 2]) -> Self {
        self.fork = fork.to_vec();
        self
    }
}

/// A convolution with stride 1, padded to keep the size.
const fn same(name: &'static str, script: &'static str, outputs: i64, kernel: [i64; 2]) -> ConvSpec {
    let padding = [kernel[0] / 2, kernel[1] / 2];
    ConvSpec { name, script, outputs, kernel, stride: 1, padding }
}

/// A 3x3 convolution without padding.
const fn valid(name: &'static str, script: &'static str, outputs: i64, stride: i64) -> ConvSpec {
    ConvSpec { name, script, outputs, kernel: [3, 3], stride, padding: [0, 0] }
}

fn chain(convs: &[ConvSpec]) -> BranchSpec {
    BranchSpec { chain: convs.to_vec(), ..BranchSpec::default() }
}

fn pooled(pool: Pool, convs: &[ConvSpec]) -> BranchSpec {
    BranchSpec { pool: Some(pool), ..chain(convs) }
}

/// The whole network up to the last block; pool3 is the mean over its 8x8 pixels.
pub(super) fn blocks() -> Vec<BlockSpec> {
    let stem = |branch| BlockSpec { name: "", script: "", branches: vec![branch] };
    let block = |name, script, branches| BlockSpec { name, script, branches };
    vec![
        stem(chain(&[
            valid("Conv2d_1a_3x3", "conv", 32, 2),
            valid("Conv2d_2a_3x3", "conv_1", 32, 1),
            same("Conv2d_2b_3x3", "conv_2", 64, [3, 3]),
        ])),
        stem(pooled(
            MaximumHalving,
            &[same("Conv2d_3b_1x1", "conv_3", 80, [1, 1]), valid("Conv2d_4a_3x3", "conv_4", 192, 1)],
        )),
        stem(pooled(MaximumHalving, &[])),
        block("Mixed_5b", "mixed", block_35(32)),
        block("Mixed_5c", "mixed_1", block_35(64)),
        block("Mixed_5d", "mixed_2", block_35(64)),
        block("Mixed_6a", "mixed_3", block_35_to_17()),
        block("Mixed_6b", "mixed_4", block_17(128)),
        block("Mixed_6c", "mixed_5", block_17(160)),
        block("Mixed_6d", "mixed_6", block_17(160)),
        block("Mixed_6e", "mixed_7", block_17(192)),
        block("Mixed_7a", "mixed_8", block_17_to_8()),
        block("Mixed_7b", "mixed_9", block_8(Average)),
        block("Mixed_7c", "mixed_10", block_8(Maximum)),
    ]
}

/// A block on 35x35 pixels; `pooled_outputs` is the number of channels of the pool's branch.
fn block_35(pooled_outputs: i64) -> Vec<BranchSpec> {
    vec![
        chain(&[same("branch1x1", "conv", 64, [1, 1])]),
        chain(&[
            same("branch5x5_1", "tower.conv", 48, [1, 1]),
            same("branch5x5_2", "tower.conv_1", 64, [5, 5]),
        ]),
        chain(&[
            same("branch3x3dbl_1", "tower_1.conv", 64, [1, 1]),
            same("branch3x3dbl_2", "tower_1.conv_1", 96, [3, 3]),
            same("branch3x3dbl_3", "tower_1.conv_2", 96, [3, 3]),
        ]),
        pooled(Average, &[same("branch_pool", "tower_2.conv", pooled_outputs, [1, 1])]),
    ]
}

fn block_35_to_17() -> Vec<BranchSpec> {
    vec![
        chain(&[valid("branch3x3", "conv", 384, 2)]),
        chain(&[
            same("branch3x3dbl_1", "tower.conv", 64, [1, 1]),
            same("branch3x3dbl_2", "tower.conv_1", 96, [3, 3]),
            valid("branch3x3dbl_3", "tower.conv_2", 96, 2),
        ]),
        pooled(MaximumHalving, &[]),
    ]
}

/// A block on 17x17 pixels; `c` is the number of channels inside the 7x7 towers.
fn block_17(c: i64) -> Vec<BranchSpec> {
    vec![
        chain(&[same("branch1x1", "conv", 192, [1, 1])]),
        chain(&[
            same("branch7x7_1", "tower.conv", c, [1, 1]),
            same("branch7x7_2", "tower.conv_1", c, [1, 7]),
            same("branch7x7_3", "tower.conv_2", 192, [7, 1]),
        ]),
        chain(&[
            same("branch7x7dbl_1", "tower_1.conv", c, [1, 1]),
            same("branch7x7dbl_2", "tower_1.conv_1", c, [7, 1]),
            same("branch7x7dbl_3", "tower_1.conv_2", c, [1, 7]),
            same("branch7x7dbl_4", "tower_1.conv_3", c, [7, 1]),
            same("branch7x7dbl_5", "tower_1.conv_4", 192, [1, 7]),
        ]),
        pooled(Average, &[same("branch_pool", "tower_2.conv", 192, [1, 1])]),
    ]
}

fn block_17_to_8() -> Vec<BranchSpec> {
    vec![
        chain(&[
            same("branch3x3_1", "tower.conv", 192, [1, 1]),
            valid("branch3x3_2", "tower.conv_1", 320, 2),
        ]),
        chain(&[
            same("branch7x7x3_1", "tower_1.conv", 192, [1, 1]),
            same("branch7x7x3_2", "tower_1.conv_1", 192, [1, 7]),
            same("branch7x7x3_3", "tower_1.conv_2", 192, [7, 1]),
            valid("branch7x7x3_4", "tower_1.conv_3", 192, 2),
        ]),
        pooled(MaximumHalving, &[]),
    ]
}

/// A block on 8x8 pixels, whose branches fork.
fn block_8(pool: Pool) -> Vec<BranchSpec> {
    vec![
        chain(&[same("branch1x1", "conv", 320, [1, 1])]),
        chain(&[same("branch3x3_1", "tower_conv", 384, [1, 1])]).then_fork([
            same("branch3x3_2a", "tower_mixed_conv", 384, [1, 3]),
            same("branch3x3_2b", "tower_mixed_conv_1", 384, [3, 1]),
        ]),
        chain(&[
            same("branch3x3dbl_1", "tower_1_conv", 448, [1, 1]),
            same("branch3x3dbl_2", "tower_1_conv_1", 384, [3, 3]),
        ])
        .then_fork([
            same("branch3x3dbl_3a", "tower_1_mixed_conv", 384, [1, 3]),
            same("branch3x3dbl_3b", "tower_1_mixed_conv_1", 384, [3, 1]),
        ]),
        pooled(pool, &[same("branch_pool", "tower_2_conv", 192, [1, 1])]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_files::Digest;

    /// A table of the two names and the shape of every tensor, in the order of the blocks.
    fn names_and_shapes() -> String {
        let mut table = "torchscript_name\tpytorch_fid_name\tshape\n".to_owned();
        let mut inputs = 3;
        for block in blocks() {
            for branch in &block.branches {
                let mut width = inputs;
                for (i, conv) in branch.chain.iter().chain(&branch.fork).enumerate() {
                    let (ours, script) = (block.name(conv), block.script_name(conv));
                    let [h, w] = conv.kernel;
                    let shape = format!("{}x{width}x{h}x{w}", conv.outputs);
                    table += &format!("{script}.weight\t{ours}.conv.weight\t{shape}\n");
                    for (a, b) in [("beta", "bias"), ("mean", "running_mean"), ("var", "running_var")] {
                        table += &format!("{script}.{a}\t{ours}.bn.{b}\t{}\n", conv.outputs);
                    }
                    if i < branch.chain.len() {
                        width = conv.outputs;
                    }
                }
            }
            inputs = block.branches.iter().map(|branch| branch.outputs(inputs)).sum();
        }
        assert_eq!(inputs, 2048);
        table
    }

    #[test]
    fn names_and_shapes_are_those_of_the_published_files() {
        // Digest of a table made from the two published files, not from this code.
        let table = names_and_shapes();
        assert_eq!(table.lines().count(), 1 + 4 * 94);
        let want = "sha256:0581e53bcaabe644b854510495eb5726f476f97edec3cc85a8694a6f96c273bd";
        assert_eq!(Digest::of(table.as_bytes()).to_string(), want);
    }
}
