//! The official CPU archive of pytorch.org.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use fewstep_fetch::archives::unzip;
use fewstep_fetch::clients::{Session, curl};
use fewstep_fetch::discard;

use super::libtorch::VERSION;

/// Fetches the archive if it is not in the downloads, and unpacks its libraries and headers.
pub(crate) fn fill(session: &Session, into: &Path) -> Result<()> {
    ensure!(env::consts::ARCH == "x86_64", "there is none for {}", env::consts::ARCH);
    let zip = session.downloads().join(format!("libtorch-shared-with-deps-{VERSION}+cpu.zip"));
    curl::file(session, &url(), &zip, &unzip::is_whole)?;
    let listener = session.listener();
    Ok(unzip::unpack(&zip, into, member, listener).inspect_err(|_| discard(&zip, listener))?)
}

fn url() -> String {
    format!("https://download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-{VERSION}%2Bcpu.zip")
}

/// The archive also holds static libraries and CMake files, which nothing here uses.
fn member(name: &Path) -> Option<PathBuf> {
    let name = name.strip_prefix("libtorch").ok()?;
    let file = name.file_name()?.to_str()?;
    let wanted = name.starts_with("include")
        || (name.starts_with("lib") && file.contains(".so"))
        || name == Path::new("build-version");
    wanted.then(|| name.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_headers_are_taken() {
        let to = |name: &str| member(Path::new(name)).map(|path| path.display().to_string());
        assert_eq!(to("libtorch/lib/libtorch_cpu.so").as_deref(), Some("lib/libtorch_cpu.so"));
        assert_eq!(to("libtorch/lib/libgomp-abc123.so.1").as_deref(), Some("lib/libgomp-abc123.so.1"));
        assert_eq!(to("libtorch/include/torch/library.h").as_deref(), Some("include/torch/library.h"));
        assert_eq!(to("libtorch/build-version").as_deref(), Some("build-version"));
        assert_eq!(to("libtorch/lib/libdnnl.a"), None);
        assert_eq!(to("libtorch/share/cmake/Torch/TorchConfig.cmake"), None);
    }
}
