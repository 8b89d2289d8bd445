//! Networks of every option: the description derived from names and shapes is the one they were made with.
//!
//! Names and shapes are made here in the order in which guided-diffusion makes its modules, counting as it does, and not from
//! a description.

use fewstep_formats::{Checkpoint, Format, NamedArray, Value};
use fewstep_import::{AttentionOrder, Hints, TrainedAs};
use fewstep_models::ddpm::{Heads, Resampling};
use fewstep_torch::Kind;

use crate::case::import;

/// The arguments of the program.
#[derive(Clone, Debug)]
struct Args {
    images: usize,
    learned_sigma: bool,
    channels: usize,
    mult: Vec<usize>,
    n_res_blocks: usize,
    /// Levels with attention.
    attention: Vec<usize>,
    residual: bool,
    affine: bool,
    classes: usize,
    /// Dimensions of a convolution in attention.
    attention_dims: usize,
}

#[derive(Default)]
struct Made(Vec<(String, Vec<usize>)>);

impl Made {
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.0.push((format!("{name}.weight"), shape.to_vec()));
        self.0.push((format!("{name}.bias"), shape[..1].to_vec()));
    }

    fn residual(&mut self, name: &str, args: &Args, from: usize, to: usize) {
        self.layer(&format!("{name}.in_layers.0"), &[from]);
        self.layer(&format!("{name}.in_layers.2"), &[to, from, 3, 3]);
        let rows = if args.affine { 2 * to } else { to };
        self.layer(&format!("{name}.emb_layers.1"), &[rows, 4 * args.channels]);
        self.layer(&format!("{name}.out_layers.0"), &[to]);
        self.layer(&format!("{name}.out_layers.3"), &[to, to, 3, 3]);
        if from != to {
            self.layer(&format!("{name}.skip_connection"), &[to, from, 1, 1]);
        }
    }

    fn attention(&mut self, name: &str, args: &Args, width: usize) {
        let ones = vec![1; args.attention_dims];
        self.layer(&format!("{name}.norm"), &[width]);
        self.layer(&format!("{name}.qkv"), &[vec![3 * width, width], ones.clone()].concat());
        self.layer(&format!("{name}.proj_out"), &[vec![width, width], ones].concat());
    }

    fn of(args: &Args) -> Self {
        let mut made = Self::default();
        let (base, last) = (args.channels, args.mult.len() - 1);
        made.layer("time_embed.0", &[4 * base, base]);
        made.layer("time_embed.2", &[4 * base, 4 * base]);
        if args.classes > 0 {
            made.0.push(("label_emb.weight".to_owned(), vec![args.classes, 4 * base]));
        }
        let mut width = args.mult[0] * base;
        made.layer("input_blocks.0.0", &[width, args.images, 3, 3]);
        let (mut saved, mut n) = (vec![width], 1);
        for (l, mult) in args.mult.iter().enumerate() {
            for _ in 0..args.n_res_blocks {
                made.residual(&format!("input_blocks.{n}.0"), args, width, mult * base);
                width = mult * base;
                if args.attention.contains(&l) {
                    made.attention(&format!("input_blocks.{n}.1"), args, width);
                }
                saved.push(width);
                n += 1;
            }
            if l < last {
                match args.residual {
                    true => made.residual(&format!("input_blocks.{n}.0"), args, width, width),
                    false => made.layer(&format!("input_blocks.{n}.0.op"), &[width, width, 3, 3]),
                }
                saved.push(width);
                n += 1;
            }
        }
        made.residual("middle_block.0", args, width, width);
        made.attention("middle_block.1", args, width);
        made.residual("middle_block.2", args, width, width);
        n = 0;
        for (l, mult) in args.mult.iter().enumerate().rev() {
            for i in 0..=args.n_res_blocks {
                let from = width + saved.pop().unwrap();
                width = mult * base;
                made.residual(&format!("output_blocks.{n}.0"), args, from, width);
                let mut module = 1;
                if args.attention.contains(&l) {
                    made.attention(&format!("output_blocks.{n}.1"), args, width);
                    module += 1;
                }
                if l > 0 && i == args.n_res_blocks {
                    let name = format!("output_blocks.{n}.{module}");
                    match args.residual {
                        true => made.residual(&name, args, width, width),
                        false => made.layer(&format!("{name}.conv"), &[width, width, 3, 3]),
                    }
                }
                n += 1;
            }
        }
        assert!(saved.is_empty());
        made.layer("out.0", &[width]);
        let heads = if args.learned_sigma { 2 } else { 1 };
        made.layer("out.2", &[heads * args.images, width, 3, 3]);
        made
    }

    fn file(&self) -> Checkpoint {
        let array = |(name, shape): &(String, Vec<usize>)| {
            let n = shape.iter().product::<usize>();
            NamedArray::from_f32(name, shape, &vec![0.5; n]).unwrap()
        };
        let arrays = self.0.iter().map(array).collect();
        Checkpoint { kind: Format::TorchZip, class_name: None, arrays, options: Value::Null }
    }
}

#[test]
fn networks_of_every_option() {
    let plain = Args {
        images: 3,
        learned_sigma: false,
        channels: 32,
        mult: vec![1, 2, 2],
        n_res_blocks: 2,
        attention: vec![1],
        residual: true,
        affine: true,
        classes: 0,
        attention_dims: 1,
    };
    for args in [
        plain.clone(),
        Args { residual: false, affine: false, learned_sigma: true, ..plain.clone() },
        Args { attention: vec![], n_res_blocks: 1, images: 1, ..plain.clone() },
        Args { attention: vec![0, 1, 2], classes: 7, n_res_blocks: 3, ..plain.clone() },
        Args { attention: vec![2], mult: vec![2, 1, 3], residual: false, ..plain.clone() },
        Args { attention: vec![0], mult: vec![3], attention_dims: 2, n_res_blocks: 1, ..plain.clone() },
        Args {
            attention: vec![1],
            mult: vec![1, 2],
            n_res_blocks: 1,
            images: 1,
            learned_sigma: true,
            ..plain
        },
    ] {
        let made = Made::of(&args);
        let hints = Hints {
            resolution: Some(32),
            heads: Some(Heads::Width(16)),
            attention_order: (args.attention_dims == 1).then_some(AttentionOrder::Legacy),
            trained_as: Some(TrainedAs::DdpmCosine { timesteps: 100 }),
            ..Hints::default()
        };
        let found = import(&made.file(), &hints, Kind::Float).unwrap_or_else(|e| panic!("{args:?}: {e}"));
        let c = &found.unet;
        let widths: Vec<i64> = args.mult.iter().map(|mult| (mult * args.channels) as i64).collect();
        assert_eq!((&c.widths, c.n_res_blocks), (&widths, args.n_res_blocks), "{args:?}");
        assert_eq!((c.image_channels, c.n_classes), (args.images as i64, args.classes as i64), "{args:?}");
        assert_eq!((c.affine_time, c.embedding_channels), (args.affine, 128), "{args:?}");
        assert_eq!(found.notes.len(), usize::from(args.learned_sigma), "{args:?}");
        let resampling = if args.residual { Resampling::Residual } else { Resampling::Conv };
        let last = widths.len() - 1;
        for (l, (down, up)) in c.down.iter().zip(&c.up).enumerate() {
            let attended = args.attention.contains(&l);
            assert_eq!((down.attention, up.attention), (attended, attended), "{args:?}: level {l}");
            assert!(l == last || down.resampling == resampling, "{args:?}: level {l}");
            assert!(l == 0 || up.resampling == resampling, "{args:?}: level {l}");
        }
        // Every value arrived.
        let taken: usize = found.params.named().map(|(_, t)| t.numel()).sum();
        let all: usize = made.0.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let left = if args.learned_sigma { args.images * (9 * args.mult[0] * args.channels + 1) } else { 0 };
        assert_eq!(taken, all - left, "{args:?}");
    }
}

#[test]
fn the_first_of_two_outputs_is_the_noise_and_a_velocity_is_turned() {
    let args = Args {
        images: 2,
        learned_sigma: true,
        channels: 32,
        mult: vec![1],
        n_res_blocks: 1,
        attention: vec![],
        residual: true,
        affine: true,
        classes: 0,
        attention_dims: 1,
    };
    let mut file = Made::of(&args).file();
    let bias = file.arrays.iter_mut().find(|array| array.name == "out.2.bias").unwrap();
    *bias = NamedArray::from_f32("out.2.bias", &[4], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let hints = Hints { resolution: Some(8), heads: Some(Heads::Count(1)), ..Hints::default() };
    for (trained_as, want) in
        [(TrainedAs::DdpmLinear { timesteps: 1000 }, [1.0, 2.0]), (TrainedAs::Flow, [-1.0, -2.0])]
    {
        let hints = Hints { trained_as: Some(trained_as), ..hints.clone() };
        let found = import(&file, &hints, Kind::Double).unwrap();
        let (_, bias) = found.params.named().find(|(name, _)| *name == "conv_out.bias").unwrap();
        assert_eq!(Vec::<f64>::try_from(bias).unwrap(), want);
    }
}
