//! Random files of denoising_diffusion_pytorch, over every option that the import takes.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// Case `i` of a seed: what the script needs to make it.
pub(crate) fn file(seed: u64, i: u64, root: &Path) -> Value {
    let dice = Dice::new(seed, 1, i);
    let levels = 1 + dice.below(4);
    json!({
        "name": format!("seed {seed}, case {i}"),
        "seed": i,
        "folder": root.join(i.to_string()),
        "unet": network(&dice, levels),
        "diffusion": diffusion(&dice, dice.resolution(levels)),
        "scaler": dice.rarely(3),
        "zip": !dice.rarely(3),
    })
}

fn network(dice: &Dice, levels: usize) -> Value {
    let each = |of: &[usize]| -> Vec<usize> { (0..levels).map(|_| dice.one(of)).collect() };
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    set("dim", dice.one(&[4, 6, 8, 12]).into());
    set("dim_mults", each(&[1, 2, 3]).into());
    set("channels", (1 + dice.below(4)).into());
    if dice.rarely(3) {
        set("init_dim", dice.one(&[3, 8, 10]).into());
    }
    // Left out: 4 heads of 32.
    match dice.below(4) {
        0 => {}
        1 => set("attn_heads", dice.one(&[1, 2, 3]).into()),
        _ => set("attn_heads", each(&[1, 2, 4]).into()),
    }
    match dice.below(4) {
        0 => {}
        1 => set("attn_dim_head", dice.one(&[4, 5, 16]).into()),
        _ => set("attn_dim_head", each(&[3, 4, 8]).into()),
    }
    if dice.rarely(2) {
        let full: Vec<bool> = each(&[0, 1]).into_iter().map(|full| full == 1).collect();
        set("full_attn", full.into());
    }
    if dice.rarely(4) {
        set("dropout", 0.1.into());
    }
    Value::Object(map)
}

fn diffusion(dice: &Dice, resolution: usize) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    set("image_size", resolution.into());
    set("timesteps", dice.one(&[50, 77, 250, 1000]).into());
    set("sampling_timesteps", 10.into());
    set("objective", dice.one(&["pred_noise", "pred_x0", "pred_v"]).into());
    let schedule = dice.one(&["linear", "cosine", "sigmoid"]);
    set("beta_schedule", schedule.into());
    if dice.rarely(4) {
        match schedule {
            "cosine" => set("schedule_fn_kwargs", json!({"s": 0.02})),
            "sigmoid" => set("schedule_fn_kwargs", json!({"start": 0, "tau": 0.5})),
            _ => {}
        }
    }
    if dice.rarely(3) {
        set("min_snr_loss_weight", true.into());
        set("min_snr_gamma", dice.one(&[1, 5]).into());
    }
    set("auto_normalize", (!dice.rarely(4)).into());
    Value::Object(map)
}
