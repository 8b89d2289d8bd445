//! Networks of guided-diffusion, consistency models and torchcfm. That they give the numbers of those programs is tested in
//! `tests/src/parity/teacher`; here is what is recognised, what a mistake would do, and what is refused.
//!
//! `FEWSTEP_GOLDEN=FOLDER` adds the cases in `FOLDER/teachers`. Every test prints its errors.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod case;
mod mistakes;
mod refused;
mod shapes;

use case::{Case, Imported, cases};
use fewstep_import::TrainedAs;
use fewstep_models::ddpm::Resampling;
use fewstep_torch::Kind;

/// The description is the one of the arguments that the network was made with.
fn check_description(case: &Case, imported: &Imported) {
    let c = &imported.unet;
    let channels = case.int("model_channels").or(case.int("num_channels")).unwrap();
    let widths: Vec<i64> = case.ints("channel_mult").iter().map(|mult| mult * channels).collect();
    // Factors of downsampling, or, in torchcfm, a list of resolutions in a text.
    let resolution = case.resolution();
    let attention: Vec<i64> = match case.args["attention_resolutions"].as_str() {
        Some(text) => text.split(',').map(|r| resolution / r.trim().parse::<i64>().unwrap()).collect(),
        None => case.ints("attention_resolutions"),
    };
    let residual = case.flag("resblock_updown");
    assert_eq!((&c.widths, c.resolution), (&widths, resolution), "{}", case.name);
    assert_eq!(Some(c.n_res_blocks as i64), case.int("num_res_blocks"), "{}", case.name);
    assert_eq!(c.affine_time, case.flag("use_scale_shift_norm"), "{}", case.name);
    assert_eq!(c.n_classes, case.int("num_classes").unwrap_or(0), "{}", case.name);
    for (l, (down, up)) in c.down.iter().zip(&c.up).enumerate() {
        let attended = attention.contains(&(1 << l));
        assert_eq!((down.attention, up.attention), (attended, attended), "{}: level {l}", case.name);
        let resampling = |resampling| (resampling == Resampling::Residual) == residual;
        assert!(l + 1 == widths.len() || resampling(down.resampling), "{}: level {l}", case.name);
        assert!(l == 0 || resampling(up.resampling), "{}: level {l}", case.name);
    }
}

#[test]
fn the_description_is_that_of_the_arguments_and_notes_say_what_was_assumed() {
    let linear = TrainedAs::DdpmLinear { timesteps: 1000 };
    for (kind, trained_as) in
        [("guided", Some(linear)), ("consistency", None), ("flow", Some(TrainedAs::Flow))]
    {
        for case in cases(kind) {
            let imported = case.import(&case.hints(trained_as), Kind::Float);
            check_description(&case, &imported);
            let noted = |word: &str| imported.notes.iter().any(|note| note.contains(word));
            let learned_sigma = case.int("out_channels") == case.int("in_channels").map(|c| 2 * c);
            assert_eq!(noted("variance"), kind == "guided" && learned_sigma, "{:?}", imported.notes);
            // The shape of its attention says which code it is of, and an EDM teacher is the usual thing there.
            assert_eq!(noted("consistency models") && noted("Edm"), kind == "consistency");
        }
    }
}
