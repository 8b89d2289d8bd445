//! Finds the images and labels in a tree of files. Folders and zips share this code, so that an archive of a folder gives
//! the same set as the folder.
//!
//! The root of the set is the top folder. If that has no `dataset.json` and all images are in one of its folders, this
//! folder becomes the root, and so on: archives often contain a single folder, and one folder is not a class. There are
//! three layouts:
//!
//! - `dataset.json` in the root, as EDM's tools write: images anywhere below, labels from this file;
//! - one folder per class: the class of an image is the first folder below the root on its path. Folders without images
//!   are not classes. Classes are numbered in the byte order of their names; if all names are whole numbers, in numeric
//!   order, so that "10" comes after "9", and each of the folders "0" to "n-1" has its name as its number;
//! - flat: images in the root, without labels.
//!
//! Names that start with a dot, and folders that operating systems create (`__MACOSX`, `lost+found`), are ignored.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeSet, path::Path};

use fewstep_formats::{
    Image, ImageHeader, ImageLabels,
    image_kind::{Kind, begins_as, named},
    image_labels::{LABELS_FILE, MAX_CLASSES},
};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Numbered files with their paths.
pub(super) trait Tree: Send + Sync {
    /// Paths relative to the top folder, with `/` as separator, sorted by bytes. They need not be UTF-8.
    fn paths(&self) -> &[Vec<u8>];

    /// The first bytes of a file; `None` if it cannot be read.
    fn beginning(&self, file: usize) -> Option<Vec<u8>>;

    /// The labels in a `dataset.json`.
    fn labels(&self, file: usize) -> Result<Option<ImageLabels>>;

    /// Size and channels of an image, without decoding it.
    fn header(&self, file: usize) -> Result<ImageHeader>;

    fn image(&self, file: usize) -> Result<Image>;
}

/// The images of a tree.
#[derive(Default)]
pub(super) struct Layout {
    /// Numbers of the image files in the tree.
    pub(super) images: Vec<usize>,
    /// Numbers of images of other kinds, which cannot be read.
    pub(super) others: Vec<usize>,
    pub(super) classes: Option<Classes>,
}

/// The labels of the images.
pub(super) struct Classes {
    pub(super) n: usize,
    /// Label of each image.
    pub(super) of: Vec<Option<u32>>,
    /// Folders of the classes; empty if the labels come from a file.
    pub(super) names: Vec<String>,
    /// Names with a label in the file but without an image.
    pub(super) absent: Vec<String>,
}

/// Whether files and folders of this name are not part of a data set.
pub(super) fn is_ignored(name: &[u8]) -> bool {
    const LEFT_BY_SYSTEMS: [&[u8]; 4] =
        [b"__MACOSX", b"lost+found", b"$RECYCLE.BIN", b"System Volume Information"];
    name.starts_with(b".") || LEFT_BY_SYSTEMS.contains(&name)
}

/// A name as text. Bytes that are not UTF-8 are escaped as `\xe9`, so that different names stay different.
pub(super) fn display_name(name: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(name) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) => Cow::Owned(
            name.utf8_chunks()
                .flat_map(|part| [part.valid().to_owned(), part.invalid().escape_ascii().to_string()])
                .collect(),
        ),
    }
}

impl Layout {
    /// The layout of `tree`. `top` is the tree's path, for messages.
    pub(super) fn of(tree: &dyn Tree, top: &Path) -> Result<Self> {
        let paths = tree.paths();
        let kinds: Vec<Kind> = (0..paths.len()).into_par_iter().map(|file| kind(tree, file)).collect();
        let of_kind = |kind| (0..paths.len()).filter(|&file| kinds[file] == kind).collect::<Vec<_>>();
        let (images, others) = (of_kind(Kind::Image), of_kind(Kind::OtherImage));
        let names: Vec<&[u8]> = images.iter().map(|&file| paths[file].as_slice()).collect();
        let (root, labels) = root(paths, &names);
        let classes = match labels {
            Some(file) => tree.labels(file)?.map(|labels| listed(&labels, root, &names)),
            None => folders(root, &names, top)?,
        };
        Ok(Self { images, others, classes })
    }
}

/// The kind of a file. The name decides, except for names of other image formats, which downloads often have wrongly, and
/// for unknown extensions: then the first bytes decide.
fn kind(tree: &dyn Tree, file: usize) -> Kind {
    match named(&String::from_utf8_lossy(&tree.paths()[file])) {
        Some(known @ (Kind::Image | Kind::NoImage)) => known,
        by_name => match tree.beginning(file).map(|start| begins_as(&start)) {
            Some(Kind::Image) => Kind::Image,
            by_content => by_name.or(by_content).unwrap_or(Kind::NoImage),
        },
    }
}

/// The root of the set, with its slash, and the file of its labels.
fn root<'p>(paths: &[Vec<u8>], images: &[&'p [u8]]) -> (&'p [u8], Option<usize>) {
    let mut root: &'p [u8] = b"";
    loop {
        let labels = [root, LABELS_FILE.as_bytes()].concat();
        if let Ok(file) = paths.binary_search(&labels) {
            return (root, Some(file));
        }
        // The paths are sorted, so a prefix of the first and the last is a prefix of all.
        let (Some(first), Some(last)) = (images.first(), images.last()) else { return (root, None) };
        match (folder(root, first), folder(root, last)) {
            (Some(one), Some(same)) if one == same => root = &first[..root.len() + one.len() + 1],
            _ => return (root, None),
        }
    }
}

/// The first folder below `root` on the path to a file.
fn folder<'p>(root: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    let rest = path.get(root.len()..)?;
    rest.iter().position(|&byte| byte == b'/').map(|at| &rest[..at])
}

/// Classes from a file of labels, whose names are relative to `root`.
fn listed(labels: &ImageLabels, root: &[u8], images: &[&[u8]]) -> Classes {
    let of = images.iter().map(|path| labels.get(str::from_utf8(path.get(root.len()..)?).ok()?));
    let is_absent = |name: &&str| images.binary_search(&[root, name.as_bytes()].concat().as_slice()).is_err();
    let absent = labels.names().filter(is_absent).map(|name| format!("{}{name}", display_name(root)));
    Classes { n: labels.n_classes() as usize, of: of.collect(), names: Vec::new(), absent: absent.collect() }
}

/// Classes from folders; `None` if the set is flat.
fn folders(root: &[u8], images: &[&[u8]], top: &Path) -> Result<Option<Classes>> {
    let wrong = |expected: String, got: String| {
        Err(Error::File { path: top.join(&*display_name(root)), expected, got })
    };
    let of: Vec<Option<&[u8]>> = images.iter().map(|path| folder(root, path)).collect();
    let n_below = of.iter().flatten().count();
    if n_below == 0 {
        return Ok(None);
    }
    if n_below < images.len() {
        return wrong(
            format!("images in the folder itself, or in one folder a class, or a {LABELS_FILE}"),
            format!("{} images in it and {n_below} below it", images.len() - n_below),
        );
    }
    let names: BTreeSet<&[u8]> = of.iter().flatten().copied().collect();
    let mut names: Vec<&[u8]> = names.into_iter().collect();
    if names.len() > MAX_CLASSES as usize {
        return wrong(format!("at most {MAX_CLASSES} classes"), format!("{} folders", names.len()));
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    if names.iter().all(|name| name.iter().all(u8::is_ascii_digit)) {
        order.sort_by(|&a, &b| by_number(names[a], names[b]));
    }
    // The class of each name, in the byte order of the names.
    let mut class = vec![0; names.len()];
    for (number, &place) in (0..).zip(&order) {
        class[place] = number;
    }
    let label = |name: Option<&[u8]>| names.binary_search(&name?).ok().map(|place| class[place]);
    let of = of.into_iter().map(label).collect();
    names = order.iter().map(|&place| names[place]).collect();
    let names: Vec<String> = names.into_iter().map(|name| display_name(name).into_owned()).collect();
    Ok(Some(Classes { n: names.len(), of, names, absent: Vec::new() }))
}

/// The numeric order of whole numbers of any length; equal numbers ("1" and "01") are ordered by bytes.
fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    fn number(name: &[u8]) -> &[u8] {
        &name[name.iter().take_while(|&&digit| digit == b'0').count()..]
    }
    let (x, y) = (number(a), number(b));
    x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by their paths; those that end in `raw_png` have no extension and the first bytes of a PNG.
    struct Names(Vec<Vec<u8>>);

    impl Tree for Names {
        fn paths(&self) -> &[Vec<u8>] {
            &self.0
        }

        fn beginning(&self, file: usize) -> Option<Vec<u8>> {
            let is_raw = self.0[file].ends_with(b"raw_png");
            Some(if is_raw { b"\x89PNG\r\n\x1a\n".to_vec() } else { b"text".to_vec() })
        }

        fn labels(&self, _: usize) -> Result<Option<ImageLabels>> {
            let of = vec![("a.png".to_owned(), 2), ("no.png".to_owned(), 0)];
            Ok(Some(ImageLabels::new(4, of).unwrap()))
        }

        fn header(&self, _: usize) -> Result<ImageHeader> {
            unreachable!("names are enough")
        }

        fn image(&self, _: usize) -> Result<Image> {
            unreachable!("names are enough")
        }
    }

    /// The names of the classes, and the labels of the images.
    fn classes(paths: &[&[u8]]) -> (Vec<String>, Vec<Option<u32>>) {
        let mut paths: Vec<Vec<u8>> = paths.iter().map(|path| path.to_vec()).collect();
        paths.sort_unstable();
        let layout = Layout::of(&Names(paths), Path::new("top")).unwrap();
        layout.classes.map_or((Vec::new(), Vec::new()), |classes| (classes.names, classes.of))
    }

    #[test]
    fn folders_with_images_are_classes_in_the_order_of_their_names() {
        let (names, of) =
            classes(&[b"cat/x/0.png", b"ant/0.png", b"annotations/list.txt", b"cat/1.png", b"bee/note"]);
        assert_eq!((names, of), (vec!["ant".to_owned(), "cat".to_owned()], vec![Some(0), Some(1), Some(1)]));
        // The order is that of bytes, and names need not be UTF-8.
        let (names, _) = classes(&[b"b/0.png", b"B/0.png", b"\xe9/0.png", b"caf\xe9/0.png"]);
        assert_eq!(names, ["B", "b", "caf\\xe9", "\\xe9"]);
        assert_eq!(classes(&[b"a.png", b"notes/b.txt"]), (vec![], vec![]), "flat");
    }

    #[test]
    fn numbers_are_classes_in_the_order_of_the_numbers() {
        let paths: Vec<String> = (0..=10).map(|i| format!("{i}/a.png")).collect();
        let (names, of) = classes(&paths.iter().map(String::as_bytes).collect::<Vec<_>>());
        assert_eq!(names, (0..=10).map(|i| i.to_string()).collect::<Vec<_>>());
        // In the order of the paths: 0, 1, 10, 2, ..
        assert_eq!(of[..4], [Some(0), Some(1), Some(10), Some(2)]);
        let (names, _) = classes(&[b"010/a.png", b"9/a.png", b"99999999999999999999999/a.png", b"10/a.png"]);
        assert_eq!(names, ["9", "010", "10", "99999999999999999999999"]);
        // If one name is not a number, all are ordered by bytes.
        let (names, _) = classes(&[b"10/a.png", b"9/a.png", b"x/a.png"]);
        assert_eq!(names, ["10", "9", "x"]);
    }

    #[test]
    fn one_folder_of_everything_is_not_a_class() {
        let inner = classes(&[b"all/data/0/a.png", b"all/data/1/b.png", b"all/README"]);
        assert_eq!(inner, (vec!["0".to_owned(), "1".to_owned()], vec![Some(0), Some(1)]));
        assert_eq!(classes(&[b"all/a.png", b"all/raw_png"]), (vec![], vec![]));
        // `dataset.json` is searched for in every folder down to the root; its names are relative to its folder.
        assert_eq!(classes(&[b"all/a.png", b"all/dataset.json"]).1, [Some(2)]);
        assert_eq!(classes(&[b"a.png", b"b/raw_png", b"dataset.json"]).1, [Some(2), None]);
        let paths = [b"x/a.png".to_vec(), b"x/dataset.json".to_vec()];
        let layout = Layout::of(&Names(paths.to_vec()), Path::new("top")).unwrap();
        assert_eq!(layout.classes.unwrap().absent, ["x/no.png"]);
    }

    #[test]
    fn files_of_operating_systems_are_ignored() {
        for name in [&b".DS_Store"[..], b"._a.png", b"__MACOSX", b"lost+found"] {
            assert!(is_ignored(name));
        }
        assert!(!is_ignored(b"a.png") && !is_ignored(b"MACOSX"));
    }
}
