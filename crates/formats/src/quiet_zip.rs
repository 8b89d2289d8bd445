//! A writer of zip archives that can be abandoned silently: when the `zip` crate's writer is dropped, it finishes the
//! archive, and prints a message if that fails, for example because the disk is full.
//!
//! So this module never drops that writer before it is finished. The output is shared, and removed when the archive is
//! abandoned. An archive is finished in memory, where writing cannot fail, before its end is written to the output.

use std::{
    io::{self, Seek, SeekFrom, Write},
    mem::ManuallyDrop,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::error::escaped_name;

/// An archive of stored entries. The same entries in the same order give the same bytes.
pub(crate) struct QuietZip<W: Write + Seek> {
    out: Shared<W>,
    /// Leaked with its memory if the archive is abandoned.
    zip: ManuallyDrop<ZipWriter<Shared<W>>>,
}

impl<W: Write + Seek> QuietZip<W> {
    /// A new archive in `out`, which must be empty.
    pub(crate) fn new(out: W) -> Self {
        let out = Shared(Arc::new(Mutex::new(Output { out: Some(out), place: 0, end: 0, held: None })));
        Self { zip: ManuallyDrop::new(ZipWriter::new(out.clone())), out }
    }

    /// Starts an entry of `len` bytes, which the caller then writes.
    ///
    /// # Errors
    /// The name already exists, or the output fails.
    pub(crate) fn start(&mut self, name: &str, len: u64) -> io::Result<()> {
        // Stored: images are already compressed, and arrays of them hardly compress. The time is fixed, so that the same
        // entries give the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(len >= u64::from(u32::MAX));
        self.zip.start_file(name, options).map_err(|error| match error {
            ZipError::Io(error) => error,
            other => io::Error::other(format!("`{}`: {other}", escaped_name(name))),
        })
    }

    /// Returns the output with the complete archive.
    ///
    /// # Errors
    /// The output fails, or has failed before.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut output = self.out.lock();
        // An archive whose output has failed cannot be finished.
        output.out()?.flush()?;
        output.held = Some(Vec::new());
        drop(output);
        // `self.zip` needs a value after its writer is taken: an archive without an output.
        let empty = Shared(Arc::new(Mutex::new(Output { out: None, place: 0, end: 0, held: None })));
        let zip = std::mem::replace(&mut self.zip, ManuallyDrop::new(ZipWriter::new(empty)));
        ManuallyDrop::into_inner(zip).finish()?;
        let mut output = self.out.lock();
        let held = output.held.take().ok_or_else(given_up)?;
        let mut out = output.out.take().ok_or_else(given_up)?;
        for (place, bytes) in held {
            out.seek(SeekFrom::Start(place))?;
            out.write_all(&bytes)?;
        }
        out.seek(SeekFrom::Start(output.end))?;
        Ok(out)
    }
}

impl<W: Write + Seek> Write for QuietZip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.zip.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}

impl<W: Write + Seek> Drop for QuietZip<W> {
    fn drop(&mut self) {
        let out = self.out.lock().out.take();
        drop(out);
    }
}

/// The output, shared by the `zip` crate's writer and [`QuietZip`], which can remove it.
struct Shared<W>(Arc<Mutex<Output<W>>>);

struct Output<W> {
    /// `None` after a failure.
    out: Option<W>,
    /// Position of the next byte.
    place: u64,
    /// Position of the end.
    end: u64,
    /// Bytes held back in memory, with their positions.
    held: Option<Vec<(u64, Vec<u8>)>>,
}

fn given_up() -> io::Error {
    io::Error::other("the archive has failed before")
}

impl<W> Output<W> {
    fn out(&mut self) -> io::Result<&mut W> {
        self.out.as_mut().ok_or_else(given_up)
    }

    /// Passes on the result of an operation on the output, and removes the output after an error.
    fn or_give_up<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            self.out = None;
        }
        result
    }
}

impl<W> Shared<W> {
    /// Ignores poisoning, because no code that holds the lock panics.
    fn lock(&self) -> MutexGuard<'_, Output<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Clone for Shared<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write> Write for Shared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.lock();
        let place = output.place;
        let n = if let Some(held) = &mut output.held {
            match held.last_mut() {
                Some((start, last)) if *start + last.len() as u64 == place => last.extend_from_slice(bytes),
                _ => held.push((place, bytes.to_vec())),
            }
            bytes.len()
        } else {
            let written = output.out()?.write(bytes);
            output.or_give_up(written)?
        };
        output.place += n as u64;
        output.end = output.end.max(output.place);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut output = self.lock();
        if output.held.is_some() {
            return Ok(());
        }
        let flushed = output.out()?.flush();
        output.or_give_up(flushed)
    }
}

impl<W: Seek> Seek for Shared<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut output = self.lock();
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => output.place.checked_add_signed(by),
            SeekFrom::End(by) => output.end.checked_add_signed(by),
        };
        let place = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if output.held.is_none() {
            let sought = output.out()?.seek(SeekFrom::Start(place));
            output.or_give_up(sought)?;
        }
        output.place = place;
        Ok(place)
    }
}
