//! The Frechet distance of two folders of images. `cargo run --release --example fid -- IMAGES REFERENCE [pytorch-fid]`
#![allow(clippy::print_stdout)]
fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    anyhow::ensure!(args.len() >= 2, "expected two folders, zips or npz archives, and a feature space");
    let features = args.get(2).map_or("pixels", String::as_str).parse().map_err(anyhow::Error::msg)?;
    let record = fewstep::measure(&args[0], &args[1], features)?;
    println!("{} {:.4}", record.score.metric().name(), record.score.value());
    Ok(())
}
