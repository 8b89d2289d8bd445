//! A writer of zip archives that can be given up: the `zip` crate finishes an archive that is dropped, and prints a line of
//! its own if that fails, as it does when the disk is full.
//!
//! So its writer is never dropped here. What it writes to is shared, and taken away from it when the archive is given up;
//! and an archive is finished in memory, where writing cannot fail, before its end is written out.

use std::{
    io::{self, Seek, SeekFrom, Write},
    mem::ManuallyDrop,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::error::shown_name;

/// An archive of stored entries. The same entries in the same order give the same bytes.
pub(crate) struct QuietZip<W: Write + Seek> {
    out: Shared<W>,
    /// Left behind with what it has allocated if the archive is given up.
    zip: ManuallyDrop<ZipWriter<Shared<W>>>,
}

impl<W: Write + Seek> QuietZip<W> {
    /// An archive in `out`, which is empty.
    pub(crate) fn new(out: W) -> Self {
        let out = Shared(Arc::new(Mutex::new(Output { out: Some(out), place: 0, end: 0, held: None })));
        Self { zip: ManuallyDrop::new(ZipWriter::new(out.clone())), out }
    }

    /// Begins an entry of `len` bytes, which are then written to the archive.
    ///
    /// # Errors
    /// For a name that is there already, and what the output fails with.
    pub(crate) fn start(&mut self, name: &str, len: u64) -> io::Result<()> {
        // Images are packed, and arrays of them do not pack. A fixed time, as any other would make other bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(len >= u64::from(u32::MAX));
        self.zip.start_file(name, options).map_err(|error| match error {
            ZipError::Io(error) => error,
            other => io::Error::other(format!("`{}`: {other}", shown_name(name))),
        })
    }

    /// Gives back the output with the whole archive.
    ///
    /// # Errors
    /// What the output fails with, or has failed with before.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut output = self.out.lock();
        // An archive whose output has failed is past finishing.
        output.out()?.flush()?;
        output.held = Some(Vec::new());
        drop(output);
        // The place of the old one is taken by an archive that has nothing to write to.
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

/// The output, in the hands of the archive's writer and of who may take it away.
struct Shared<W>(Arc<Mutex<Output<W>>>);

struct Output<W> {
    /// Gone when it has failed.
    out: Option<W>,
    /// Where the next byte goes, and the end.
    place: u64,
    end: u64,
    /// What is not to be written yet, with its places.
    held: Option<Vec<(u64, Vec<u8>)>>,
}

fn given_up() -> io::Error {
    io::Error::other("the archive has failed before")
}

impl<W> Output<W> {
    fn out(&mut self) -> io::Result<&mut W> {
        self.out.as_mut().ok_or_else(given_up)
    }

    /// What the output says; after an error nothing more is written to it.
    fn or_give_up<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            self.out = None;
        }
        result
    }
}

impl<W> Shared<W> {
    /// No code that holds the lock panics.
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
