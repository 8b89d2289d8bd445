//! TensorBoard event files: scalars and images.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, data, masked CRC-32C of the data).
//! Each holds an `Event` message of TensorFlow's `event.proto`; this module encodes the few fields it needs by
//! hand. The first event gives the version. After a resume, a session-start event makes TensorBoard discard
//! older events from that step on.

use crate::crc32c::masked_crc32c;
use crate::error::{Error, Result};
use crate::image::Canvas;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An event file open for appending. Every event is flushed.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Creates an event file in an existing folder. With `resumed_at`, TensorBoard discards the events of older
    /// files in that folder at this step or later.
    ///
    /// # Errors
    /// The file system fails.
    pub fn create(folder: &Path, resumed_at: Option<i64>) -> Result<Self> {
        let (path, file) = new_file(folder)?;
        let mut writer = Self { path, file };
        writer.event(0, |event| bytes_field(event, EVENT_FILE_VERSION, b"brain.Event:2"))?;
        if let Some(step) = resumed_at {
            let start = message(|log| varint_field(log, SESSION_LOG_STATUS, SESSION_START));
            writer.event(step, |event| bytes_field(event, EVENT_SESSION_LOG, &start))?;
        }
        Ok(writer)
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a number at a step. Non-finite numbers are written unchanged; TensorBoard marks them.
    ///
    /// # Errors
    /// The file system fails.
    pub fn scalar(&mut self, tag: &str, step: i64, value: f32) -> Result<()> {
        self.summary(tag, step, |summary| float_field(summary, VALUE_SIMPLE, value))
    }

    /// Writes a picture at a step.
    ///
    /// # Errors
    /// The encoder or the file system fails.
    pub fn image(&mut self, tag: &str, step: i64, canvas: &Canvas) -> Result<()> {
        let png = canvas.to_png()?;
        let image = message(|image| {
            varint_field(image, IMAGE_HEIGHT, canvas.height().into());
            varint_field(image, IMAGE_WIDTH, canvas.width().into());
            varint_field(image, IMAGE_COLORSPACE, canvas.channels() as u64);
            bytes_field(image, IMAGE_ENCODED, &png);
        });
        self.summary(tag, step, |value| bytes_field(value, VALUE_IMAGE, &image))
    }

    fn summary(&mut self, tag: &str, step: i64, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut value = message(|value| bytes_field(value, VALUE_TAG, tag.as_bytes()));
        fill(&mut value);
        let summary = message(|summary| bytes_field(summary, SUMMARY_VALUE, &value));
        self.event(step, |event| bytes_field(event, EVENT_SUMMARY, &summary))
    }

    fn event(&mut self, step: i64, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut event = Vec::new();
        double_field(&mut event, EVENT_WALL_TIME, seconds_since_epoch());
        // Protobuf encodes a negative int64 as the varint of its two's complement, ten bytes.
        varint_field(&mut event, EVENT_STEP, step as u64);
        fill(&mut event);
        let record = tf_record(&event);
        let written = self.file.write_all(&record).and_then(|()| self.file.flush());
        written.map_err(|source| Error::Io { operation: "appending to", path: self.path.clone(), source })
    }
}

/// Creates the file. TensorBoard reads a folder's files in the order of their names, so a name holds the time,
/// then a number for files of the same second.
fn new_file(folder: &Path) -> Result<(PathBuf, File)> {
    let seconds = seconds_since_epoch() as u64;
    let mut number = 0u32;
    loop {
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.{number:04}.fewstep"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error::Io { operation: "creating", path, source }),
        }
    }
}

fn seconds_since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn tf_record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let (length_sum, data_sum) = (masked_crc32c(&length).to_le_bytes(), masked_crc32c(data).to_le_bytes());
    [&length[..], &length_sum, data, &data_sum].concat()
}

// Field numbers of event.proto and summary.proto.
const EVENT_WALL_TIME: u64 = 1;
const EVENT_STEP: u64 = 2;
const EVENT_FILE_VERSION: u64 = 3;
const EVENT_SUMMARY: u64 = 5;
const EVENT_SESSION_LOG: u64 = 7;
const SESSION_LOG_STATUS: u64 = 1;
const SESSION_START: u64 = 1;
const SUMMARY_VALUE: u64 = 1;
const VALUE_TAG: u64 = 1;
const VALUE_SIMPLE: u64 = 2;
const VALUE_IMAGE: u64 = 4;
const IMAGE_HEIGHT: u64 = 1;
const IMAGE_WIDTH: u64 = 2;
const IMAGE_COLORSPACE: u64 = 3;
const IMAGE_ENCODED: u64 = 4;

fn message(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    fill(&mut bytes);
    bytes
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// A field begins with its number and wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
fn varint_field(to: &mut Vec<u8>, field: u64, value: u64) {
    varint(to, field << 3);
    varint(to, value);
}

fn double_field(to: &mut Vec<u8>, field: u64, value: f64) {
    varint(to, field << 3 | 1);
    to.extend(value.to_le_bytes());
}

fn bytes_field(to: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(to, field << 3 | 2);
    varint(to, value.len() as u64);
    to.extend(value);
}

fn float_field(to: &mut Vec<u8>, field: u64, value: f32) {
    varint(to, field << 3 | 5);
    to.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests;
