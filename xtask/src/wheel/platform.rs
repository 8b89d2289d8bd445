//! The platform tag of a wheel (PEP 600): `manylinux_2_35_x86_64` promises that the program runs wherever glibc is 2.35 or
//! newer, on distributions of that age or younger.

use anyhow::{Context, Result, ensure};

use super::elf::Elf;

/// For symbol versions of libstdc++ (the last part of `GLIBCXX_3.4.N`), the glibc that the oldest common distributions with
/// them have: Debian 10, Ubuntu 20.04, RHEL 9, Ubuntu 22.04, Fedora 39, Ubuntu 24.04, as in auditwheel's policies. A newer
/// one is taken for as new as the newest.
const LIBSTDCXX: [(u32, u32); 7] =
    [(25, 28), (28, 31), (29, 34), (30, 35), (32, 38), (33, 39), (u32::MAX, 41)];

/// # Errors
/// A program that does not use glibc, or a processor without wheels.
pub(crate) fn tag(elf: &Elf) -> Result<String> {
    let needed = elf.needed()?;
    let glibc =
        needed.get("GLIBC").context("the program needs no glibc, and torch has wheels for no other libc")?;
    let libstdcxx = needed.get("GLIBCXX").map_or(&[][..], Vec::as_slice);
    Ok(format!("manylinux_2_{}_{}", minor(glibc, libstdcxx)?, elf.machine()?))
}

fn minor(glibc: &[u32], libstdcxx: &[u32]) -> Result<u32> {
    ensure!(glibc.first() == Some(&2), "the program needs a glibc of version {glibc:?}; known is 2.x");
    let own = glibc.get(1).copied().unwrap_or(0);
    let newest = libstdcxx.get(2).copied().unwrap_or(0);
    let theirs = LIBSTDCXX.into_iter().find(|(up_to, _)| newest <= *up_to).map_or(0, |(_, glibc)| glibc);
    Ok(own.max(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_of_both_libraries_decides() {
        assert_eq!(minor(&[2, 35], &[3, 4, 26]).unwrap(), 35);
        assert_eq!(minor(&[2, 17], &[3, 4, 26]).unwrap(), 31);
        assert_eq!(minor(&[2, 34], &[3, 4, 32]).unwrap(), 38);
        assert_eq!(minor(&[2, 2, 5], &[3, 4]).unwrap(), 28);
        assert_eq!(minor(&[2, 36], &[3, 4, 99]).unwrap(), 41);
        assert!(minor(&[3, 0], &[]).is_err());
    }
}
