//! A vector that can be changed: header and data of a safetensors file, edited in place.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

/// A safetensors file in memory.
#[derive(Clone)]
pub(crate) struct Vector {
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl Vector {
    /// One of the project's own vectors.
    pub(crate) fn golden(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let bytes = fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        Self { header: serde_json::from_slice(header).unwrap(), data: data.to_vec() }
    }

    pub(crate) fn write(&self, path: &Path) {
        let mut header = serde_json::to_vec(&self.header).unwrap();
        header.resize(header.len().next_multiple_of(8), b' ');
        let length = (header.len() as u64).to_le_bytes();
        fs::write(path, [&length[..], &header, &self.data].concat()).unwrap();
    }

    fn metadata(&mut self) -> &mut Map<String, Value> {
        self.header["__metadata__"].as_object_mut().unwrap()
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.metadata().insert(key.into(), value.into());
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.metadata().remove(key).unwrap();
    }

    /// Changes the text under `key`, which must make a difference.
    pub(crate) fn edit(&mut self, key: &str, change: impl FnOnce(&str) -> String) {
        let old = self.metadata()[key].as_str().unwrap().to_owned();
        let new = change(&old);
        assert_ne!(old, new);
        self.set(key, &new);
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let entry = self.header.remove(from).unwrap();
        self.header.insert(to.into(), entry);
    }

    /// Position and width of a tensor's elements.
    fn place(&self, tensor: &str) -> (usize, usize, usize) {
        let entry = &self.header[tensor];
        let width = match entry["dtype"].as_str().unwrap() {
            "F32" => 4,
            "F64" => 8,
            other => panic!("{other}"),
        };
        let offset = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
        (offset(0), offset(1), width)
    }

    fn values(&self, tensor: &str) -> Vec<f64> {
        let (from, to, width) = self.place(tensor);
        let read = |bytes: &[u8]| match width {
            4 => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
            _ => f64::from_le_bytes(bytes.try_into().unwrap()),
        };
        self.data[from..to].chunks_exact(width).map(read).collect()
    }

    pub(crate) fn get(&self, tensor: &str, at: usize) -> f64 {
        self.values(tensor)[at]
    }

    /// Adds `delta` to one element.
    pub(crate) fn add(&mut self, tensor: &str, at: usize, delta: f64) {
        let value = self.get(tensor, at) + delta;
        let (from, _, width) = self.place(tensor);
        let place = &mut self.data[from + at * width..][..width];
        match width {
            4 => place.copy_from_slice(&(value as f32).to_le_bytes()),
            _ => place.copy_from_slice(&value.to_le_bytes()),
        }
    }

    /// Standard deviation of a tensor.
    pub(crate) fn deviation(&self, tensor: &str) -> f64 {
        let values = self.values(tensor);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
    }

    /// Puts the probes of one network in the place of another's.
    pub(crate) fn copy_probes(&mut self, from: &str, to: &str) {
        let names: Vec<String> = self.header.keys().cloned().collect();
        let mut copied = 0;
        for name in names {
            let Some(rest) = name.strip_prefix(&format!("end.{from}.")) else { continue };
            let (source, end, _) = self.place(&name);
            let (target, _, _) = self.place(&format!("end.{to}.{rest}"));
            self.data.copy_within(source..end, target);
            copied += 1;
        }
        assert!(copied > 100);
    }
}
