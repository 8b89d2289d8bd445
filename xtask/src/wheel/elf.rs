//! What a wheel must know of its program, and must change in it: the versions of symbols that it needs of the C and C++
//! libraries, the processor that it is for, and its run path, which is taken out.
//!
//! Little-endian 64-bit ELF, which every platform that PyTorch has Linux wheels for uses. The names are those of the ELF
//! specification.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
/// Bytes of an entry of the dynamic section.
const ENTRY: usize = 16;

/// The program's bytes with what the loader reads of them.
pub(crate) struct Elf {
    bytes: Vec<u8>,
    /// Address, place in the file and length of what is loaded.
    loads: Vec<[u64; 3]>,
    /// Place of the dynamic section in the file.
    dynamic: usize,
}

impl Elf {
    /// # Errors
    /// Not a dynamically linked ELF file of 64 bits.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "the program is no little-endian 64-bit ELF file");
        let mut elf = Self { bytes, loads: Vec::new(), dynamic: 0 };
        let (headers, size, n) = (elf.number(32, 8)?, elf.number(54, 2)?, elf.number(56, 2)?);
        for i in 0..n {
            let at = usize::try_from(headers + i * size)?;
            let [place, address, length] = [8, 16, 32].map(|field| elf.number(at + field, 8));
            match elf.number(at, 4)? {
                PT_LOAD => elf.loads.push([address?, place?, length?]),
                PT_DYNAMIC => elf.dynamic = usize::try_from(place?)?,
                _ => {}
            }
        }
        ensure!(elf.dynamic > 0, "the program is not dynamically linked");
        Ok(elf)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The processor as wheels name it.
    pub(crate) fn machine(&self) -> Result<&'static str> {
        match self.number(18, 2)? {
            62 => Ok("x86_64"),
            183 => Ok("aarch64"),
            other => bail!(
                "the program is for a processor with the ELF number {other}, for which there is no wheel of torch"
            ),
        }
    }

    /// The highest version that it needs of each kind of symbols, such as `GLIBC` to `[2, 34]`.
    pub(crate) fn needed(&self) -> Result<BTreeMap<String, Vec<u32>>> {
        let mut needed = BTreeMap::new();
        let Some(first) = self.dynamic_value(DT_VERNEED)? else { return Ok(needed) };
        let mut library = self.place(first)?;
        for _ in 0..self.dynamic_value(DT_VERNEEDNUM)?.unwrap_or(0) {
            let mut version = library + usize::try_from(self.number(library + 8, 4)?)?;
            for _ in 0..self.number(library + 2, 2)? {
                let name = self.string(self.number(version + 8, 4)?)?;
                if let Some((kind, number)) = split(name) {
                    let highest = needed.entry(kind.to_owned()).or_insert_with(Vec::new);
                    *highest = number.max(std::mem::take(highest));
                }
                version += usize::try_from(self.number(version + 12, 4)?)?;
            }
            library += usize::try_from(self.number(library + 12, 4)?)?;
        }
        Ok(needed)
    }

    /// Takes the run path out: the entry, and the path itself.
    pub(crate) fn without_run_path(mut self) -> Result<Self> {
        let mut kept = Vec::new();
        let entries = self.entries()?;
        for &(tag, value) in &entries {
            if ![DT_RPATH, DT_RUNPATH].contains(&tag) {
                kept.push((tag, value));
                continue;
            }
            let path = self.string(value)?.len();
            let at = self.strings()? + usize::try_from(value)?;
            self.bytes[at..at + path].fill(0);
        }
        kept.resize(entries.len(), (DT_NULL, 0));
        for (i, (tag, value)) in kept.into_iter().enumerate() {
            let at = self.dynamic + i * ENTRY;
            self.bytes[at..at + 8].copy_from_slice(&tag.to_le_bytes());
            self.bytes[at + 8..at + ENTRY].copy_from_slice(&value.to_le_bytes());
        }
        Ok(self)
    }

    /// The dynamic section, its end not included.
    fn entries(&self) -> Result<Vec<(u64, u64)>> {
        let mut entries = Vec::new();
        for at in (self.dynamic..).step_by(ENTRY) {
            match self.number(at, 8)? {
                DT_NULL => break,
                tag => entries.push((tag, self.number(at + 8, 8)?)),
            }
        }
        Ok(entries)
    }

    fn dynamic_value(&self, wanted: u64) -> Result<Option<u64>> {
        Ok(self.entries()?.into_iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| value))
    }

    /// Where in the file the dynamic section's strings begin.
    fn strings(&self) -> Result<usize> {
        self.place(self.dynamic_value(DT_STRTAB)?.context("the program has no dynamic strings")?)
    }

    fn string(&self, offset: u64) -> Result<&str> {
        let rest = self.bytes.get(self.strings()? + usize::try_from(offset)?..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == 0).context("the program is cut short")?;
        Ok(std::str::from_utf8(&rest[..end])?)
    }

    /// Where in the file an address is.
    fn place(&self, address: u64) -> Result<usize> {
        let load = self.loads.iter().find(|[start, _, length]| (*start..start + length).contains(&address));
        let [start, place, _] = load.context("the program names an address that is not loaded")?;
        Ok(usize::try_from(address - start + place)?)
    }

    /// The number of `n` bytes at a place in the file.
    fn number(&self, at: usize, n: usize) -> Result<u64> {
        let bytes = self.bytes.get(at..at + n).context("the program is cut short")?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }
}

/// `GLIBC_2.34` as `GLIBC` and `[2, 34]`; nothing of a name that ends otherwise, such as `GLIBC_PRIVATE`.
fn split(name: &str) -> Option<(&str, Vec<u32>)> {
    let (kind, number) = name.rsplit_once('_')?;
    Some((kind, number.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(split("GLIBC_2.2.5"), Some(("GLIBC", vec![2, 2, 5])));
        assert_eq!(split("GLIBC_PRIVATE"), None);
        assert_eq!(split("libssl"), None);
    }

    /// A program that a C++ compiler makes, with a run path.
    fn made(folder: &Path) -> Vec<u8> {
        let (source, program) = (folder.join("a.cc"), folder.join("a"));
        std::fs::write(&source, "#include <cstdio>\nint main() { return std::puts(\"runs\") < 0; }\n")
            .unwrap();
        let mut compiler = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
        process::run(compiler.arg(source).arg("-o").arg(&program).arg("-Wl,-rpath,/somewhere/of/mine"))
            .unwrap();
        std::fs::read(program).unwrap()
    }

    #[test]
    fn the_run_path_goes_and_the_program_still_runs() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = made(folder.path());
        let holds = |bytes: &[u8]| bytes.windows(10).any(|w| w == b"/somewhere");
        assert!(holds(&bytes));
        let elf = Elf::new(bytes).unwrap().without_run_path().unwrap();
        assert_eq!(elf.dynamic_value(DT_RUNPATH).unwrap().or(elf.dynamic_value(DT_RPATH).unwrap()), None);
        let glibc = &elf.needed().unwrap()["GLIBC"];
        assert!(glibc[0] == 2 && glibc[1] >= 2, "{glibc:?}");
        assert_eq!(elf.machine().unwrap(), std::env::consts::ARCH);
        let bytes = elf.into_bytes();
        assert!(!holds(&bytes));
        // Written by `cp`, as the file must not be open for writing in this process when it is started.
        let (changed, program) = (folder.path().join("changed"), folder.path().join("a"));
        std::fs::write(&changed, bytes).unwrap();
        process::run(Command::new("cp").arg(&changed).arg(&program)).unwrap();
        assert_eq!(Command::new(program).output().unwrap().stdout, b"runs\n");
    }

    #[test]
    fn what_is_no_program_or_only_a_part_of_one_is_an_error() {
        assert!(Elf::new(b"#!/bin/sh\n".to_vec()).is_err());
        let folder = tempfile::tempdir().unwrap();
        let bytes = made(folder.path());
        for length in (0..bytes.len()).step_by(61) {
            if let Ok(elf) = Elf::new(bytes[..length].to_vec()) {
                let _ = elf.needed();
                let _ = elf.without_run_path();
            }
        }
    }
}
