//! Decides which files of a collection are images: by name, or by the first bytes if the name does not decide.
//!
//! Silently skipping an image would change a data set, so images of kinds that are not supported are distinguished from
//! files that are not images.

use crate::images::{jpeg, png};

/// The kind of a file in a folder or archive of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image that this crate reads.
    Image,
    /// An image of another kind.
    OtherImage,
    /// Not an image.
    NoImage,
}

/// Number of bytes of a file that [`begins_as`] uses.
pub const BEGINNING: usize = 512;

/// Extensions of images that this crate reads.
const READ: [&str; 9] = ["png", "jpg", "jpeg", "jfif", "jpe", "jif", "jfi", "pjpeg", "pjp"];

/// Extensions of other images: of the web, painting programs, cameras and instruments.
const OTHER: &str = "apng avif avifs bmp dib gif webp jp2 j2c j2k jpc jpf jpm jpx jls jng jxl jxr wdp hdp heic heics heif heifs hif \
    mng mpo tif tiff pbm pgm ppm pnm pam pfm svg svgz qoi flif bpg ff farbfeld ico cur icns tga icb vda vst pcx sgi \
    ras xbm xpm xwd wbmp wmf emf pct pict psd psb xcf kra exr hdr dds ktx ktx2 cin dpx dcm dicom fits fit fts \
    3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f";

/// Extensions of files that are often stored with images but are not images; they need not be opened.
const NONE: &str = "txt text md rst json jsonl csv tsv xml yaml yml toml ini cfg conf html htm log caption captions tags url nfo \
    py ipynb sh bat js css c h cpp rs m pdf doc docx xls xlsx ppt pptx odt zip tar gz tgz bz2 xz zst 7z rar npy npz pt pth \
    pkl pickle ckpt safetensors h5 hdf5 mat parquet arrow tfrecord tfrecords lmdb mdb db sqlite \
    mp4 avi mov mkv webm mp3 wav flac ogg md5 sha1 sha256 sfv torrent exe dll so lnk";

/// The kind of a file by its name, ignoring case; `None` if the name does not decide. Hidden files are not images.
pub fn named(name: &str) -> Option<Kind> {
    let file = name.rsplit('/').next().unwrap_or(name);
    if file.is_empty() || file.starts_with('.') {
        return Some(Kind::NoImage);
    }
    let extension = file.rsplit_once('.')?.1.to_ascii_lowercase();
    let is_in = |list: &str| list.split_ascii_whitespace().any(|one| one == extension);
    if READ.contains(&extension.as_str()) {
        Some(Kind::Image)
    } else if is_in(OTHER) {
        Some(Kind::OtherImage)
    } else {
        is_in(NONE).then_some(Kind::NoImage)
    }
}

/// The kind of a file by its first bytes. Uses only signatures that no other kind of file begins with.
pub fn begins_as(start: &[u8]) -> Kind {
    if start.starts_with(png::SIGNATURE) || start.starts_with(jpeg::SIGNATURE) {
        Kind::Image
    } else if has_signature(start)
        || is_bitmap(start)
        || is_icon(start)
        || is_portable_map(start)
        || is_svg(start)
    {
        Kind::OtherImage
    } else {
        Kind::NoImage
    }
}

/// Whether the bytes have the signature of another image format, of four bytes or more.
fn has_signature(start: &[u8]) -> bool {
    const AT_START: [&[u8]; 27] = [
        b"GIF87a",
        b"GIF89a",
        b"II*\0",
        b"MM\0*",
        b"II+\0",
        b"MM\0+",
        b"IIRO",
        b"IIU\0",
        b"\0\0\0\x0cjP  ",
        b"\xff\x4f\xff\x51",
        b"\0\0\0\x0cJXL ",
        b"8BPS",
        b"\x76\x2f\x31\x01",
        b"#?RADIANCE",
        b"#?RGBE",
        b"DDS ",
        b"qoif",
        b"FLIF",
        b"BPG\xfb",
        b"farbfeld",
        b"gimp xcf",
        b"icns",
        b"\x8aMNG\r\n",
        b"\x8bJNG\r\n",
        b"SIMPLE  =",
        b"FUJIFILMCCD-RAW",
        b"\xabKTX ",
    ];
    const BRANDS: [&[u8]; 11] =
        [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis", b"crx "];
    let at = |from: usize, mark: &[u8]| start.get(from..).is_some_and(|rest| rest.starts_with(mark));
    AT_START.iter().any(|mark| start.starts_with(mark))
        || at(0, b"RIFF") && at(8, b"WEBP")
        || at(4, b"ftyp") && BRANDS.iter().any(|brand| at(8, brand))
        || at(128, b"DICM")
}

/// The signature has only two letters, so the header after it must be valid too.
fn is_bitmap(start: &[u8]) -> bool {
    start.starts_with(b"BM")
        && start.get(6..10) == Some(&[0; 4])
        && matches!(start.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn is_icon(start: &[u8]) -> bool {
    matches!(start, [0, 0, 1 | 2, 0, 1..=64, 0, _, _, _, 0, ..]) && start.len() >= 22
}

fn is_portable_map(start: &[u8]) -> bool {
    match start {
        [b'P', b'1'..=b'6' | b'F' | b'f', b'\n' | b'\r' | b' ' | b'\t', next, ..] => {
            next.is_ascii_digit() || matches!(next, b'#' | b'\n')
        }
        _ => start.starts_with(b"P7\nWIDTH"),
    }
}

fn is_svg(start: &[u8]) -> bool {
    let text = start.trim_ascii_start();
    text.starts_with(b"<svg")
        || text.starts_with(b"<?xml") && text.windows(4).any(|part| part == b"<svg" || part == b"<SVG")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_the_kind() {
        for name in ["a.png", "x/y.JPEG", "a.b.jpg", "a.jfif", "a.JPE", "a.jif", "a.jfi"] {
            assert_eq!(named(name), Some(Kind::Image), "{name}");
        }
        for name in ["a.bmp", "x/a.WebP", "a.heif", "a.pnm", "a.tga", "a.ico", "a.psd", "a.exr", "a.CR3"] {
            assert_eq!(named(name), Some(Kind::OtherImage), "{name}");
        }
        for name in ["", ".png", "x/.a.png", "dataset.json", "x/", "a.TXT", "Thumbs.db"] {
            assert_eq!(named(name), Some(Kind::NoImage), "{name}");
        }
        for name in ["png", "a.png/b", "a.", "LICENSE", "a.png.part"] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn first_bytes_decide_the_kind() {
        for start in [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff\xe0"] {
            assert_eq!(begins_as(start), Kind::Image);
        }
        let bitmap = [&b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..], &[0; 36]].concat();
        let icon = [&b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0"[..], &[0; 8]].concat();
        for start in [
            &b"GIF89a"[..],
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"\0\0\0\x18ftypheic",
            b"II*\0\x08\0\0\0",
            &bitmap,
            &icon,
            b"P6\n3 2\n255\n",
            b"P5 # grey",
            b"<?xml version=\"1.0\"?>\n<!-- by hand -->\n<svg width='1'>",
            &[&[0; 128][..], b"DICM"].concat(),
        ] {
            assert_eq!(begins_as(start), Kind::OtherImage, "{start:?}");
        }
        for start in [
            &b""[..],
            b"BM, a text about bitmaps",
            b"P6 of the plan",
            b"MIT License",
            b"<?xml version=\"1.0\"?><annotation>",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"\0\0\0\x18ftypisom",
            &[0; 512],
            b"\0\0\x08\x03\0\0\xea\x60",
        ] {
            assert_eq!(begins_as(start), Kind::NoImage, "{start:?}");
        }
    }
}
