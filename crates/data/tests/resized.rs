//! Resizing, compared with Pillow's results for the same images.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use fewstep_data::Shaping;
use fewstep_formats::{Image, read_image};

fn image(name: &str) -> Image {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    read_image(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn images_are_resized_as_by_pillow() {
    // 16: halved once; 24: halved once, grey; 40: interpolated only; 70: enlarged.
    for (name, side) in [("wide", 16), ("tall_grey", 24), ("wide", 40), ("wide", 70)] {
        let got = Shaping { side: Some(side), rgb: false }.apply(image(&format!("{name}.png"))).unwrap();
        let want = image(&format!("{name}_{side}.png"));
        assert_eq!(got.header, want.header);
        let differences: Vec<u8> = got.pixels.iter().zip(&want.pixels).map(|(a, b)| a.abs_diff(*b)).collect();
        let most = differences.iter().max().unwrap();
        let n = differences.iter().filter(|&&d| d > 0).count();
        println!(
            "{name} to {side}: differs from Pillow by {most} at most, in {n} bytes of {}",
            want.pixels.len()
        );
        // The two programs store their weights in fixed point with different precision.
        assert!(*most <= 1, "{name} to {side}: {most}");
    }
}
