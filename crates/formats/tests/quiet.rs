//! An archive that cannot be written is an error, and nothing is printed, as the `zip` crate's writer would.
#![allow(clippy::unwrap_used)]

use std::{
    env,
    io::{self, Cursor, Seek, SeekFrom, Write},
    process::Command,
};

use fewstep_formats::{DType, ImageZipWriter, NpzWriter};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A disk that is full after `room` bytes.
struct Disk {
    file: Cursor<Vec<u8>>,
    room: usize,
}

impl Disk {
    fn of(room: usize) -> Self {
        Self { file: Cursor::new(Vec::new()), room }
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= bytes.len();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn images(disk: Disk) -> io::Result<Disk> {
    let mut zip = ImageZipWriter::new(disk);
    zip.add("a.png", &[1; 50])?;
    zip.add("b.png", &[2; 50])?;
    zip.finish(None)
}

fn arrays(disk: Disk) -> io::Result<Disk> {
    let mut npz = NpzWriter::new(disk);
    npz.add("arr_0", DType::U8, &[50], &[1; 50][..])?;
    npz.add("arr_1", DType::U8, &[50], &[1; 50][..])?;
    npz.finish()
}

fn by_the_crate(disk: Disk) -> io::Result<()> {
    let mut zip = ZipWriter::new(disk);
    zip.start_file("a.png", SimpleFileOptions::default())?;
    zip.write_all(&[1; 50])
}

/// Runs in a child process of the other test, which watches its output; does nothing otherwise.
#[test]
fn in_a_process_of_its_own() {
    let Ok(which) = env::var("FEWSTEP_TEST_QUIET") else { return };
    if which == "the crate" {
        assert!((0..150).any(|room| by_the_crate(Disk::of(room)).is_err()));
        return;
    }
    for write in [images, arrays] {
        let whole = write(Disk::of(usize::MAX)).unwrap().file.into_inner();
        // Some bytes in headers are written twice, so this needs a little more room than the archive takes.
        let enough = (0..2 * whole.len()).find(|&room| write(Disk::of(room)).is_ok()).unwrap();
        assert_eq!(write(Disk::of(enough)).unwrap().file.into_inner(), whole);
        assert!(enough >= whole.len());
        for room in 0..enough {
            assert_eq!(write(Disk::of(room)).err().unwrap().kind(), io::ErrorKind::StorageFull, "{room}");
        }
    }
    // Abandoned in the middle, on a disk that would be full before the end.
    let mut zip = ImageZipWriter::new(Disk::of(100));
    zip.add("a.png", &[1; 50]).unwrap();
    drop(zip);
}

#[test]
fn nothing_is_printed_when_the_disk_is_full() {
    let printed = |which: &str| {
        let mut test = Command::new(env::current_exe().unwrap());
        test.args(["--exact", "in_a_process_of_its_own", "--nocapture"]).env("FEWSTEP_TEST_QUIET", which);
        let output = test.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(printed("the crate").contains("ZipWriter::drop"), "the crate prints");
    assert_eq!(printed("ours"), "");
}
