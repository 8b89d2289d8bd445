//! Whole fetches, with scripts in the place of the clients.

use super::*;
use crate::archives::tarball::tests::packed;
use crate::asset::tests::LETTERS;
use crate::clients::session::tests::stand_in;
use crate::listener::Silent;

/// A cache, a folder of clients, and an archive for them to serve.
struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    fn new(members: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("served.tgz"), packed(members)).unwrap();
        Self { folder }
    }

    /// curl's argument after `--output` is the file to write.
    fn with_curl(self, body: &str) -> Self {
        let take = r#"while [ "$1" != --output ]; do shift; done; out=$2; "#;
        self.with("curl", &format!("{take}{body}"))
    }

    fn with(self, client: &str, body: &str) -> Self {
        let count = format!("echo x >>{}/{client}.calls; ", self.folder.path().display());
        let served = format!("served={}/served.tgz; ", self.folder.path().display());
        stand_in(&self.folder.path().join("bin"), client, &[&count, &served, body].concat());
        self
    }

    fn calls(&self, client: &str) -> usize {
        let calls = fs::read_to_string(self.folder.path().join(format!("{client}.calls")));
        calls.map_or(0, |text| text.lines().count())
    }

    fn obtain(&self, from: Option<&Path>) -> Result<()> {
        let cache = Cache::at(&self.folder.path().join("cache")).unwrap();
        let clients = self.folder.path().join("bin");
        let place = Place { cache: &cache, clients: Some(&clients), listener: &Silent, command: "fewstep" };
        let folder = obtain(&LETTERS, &place, from)?;
        assert_eq!(folder, cache.root().join("letters"));
        Ok(())
    }

    /// The files in a folder of the cache, in order.
    fn files(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("cache").join(of)).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn assert_there(&self) {
        let read = |name: &str| fs::read(self.folder.path().join("cache/letters").join(name)).unwrap();
        assert_eq!((read("abc.bin"), read("empty.bin")), (b"abc".to_vec(), vec![]));
        assert!(!self.folder.path().join("cache/letters.partial").exists());
        assert_eq!(self.files("downloads"), [""; 0]);
    }
}

const RIGHT: [(&str, &[u8]); 3] = [("package/default.bin", b"abc"), ("package/empty.bin", b""), ("x", b"x")];
const WRONG: [(&str, &[u8]); 2] = [("package/abc.bin", b"abd"), ("package/empty.bin", b"")];

#[test]
fn the_first_source_is_taken_and_what_is_there_is_not_fetched_again() {
    let place = Setting::new(&RIGHT).with_curl("cp $served $out");
    place.obtain(None).unwrap();
    place.assert_there();
    place.obtain(None).unwrap();
    assert_eq!(place.calls("curl"), 1);
}

#[test]
fn a_source_that_fails_makes_way_for_the_next() {
    for curl in ["exit 6", "echo '<html>log in</html>' >$out", "exit 22"] {
        let place = Setting::new(&RIGHT).with_curl(curl).with("npm", "cp $served letters-1.0.0.tgz");
        place.obtain(None).unwrap();
        place.assert_there();
        assert_eq!((place.calls("curl"), place.calls("npm")), (1, 1), "{curl}");
    }
    // A client that is not installed, too.
    let place = Setting::new(&RIGHT).with("npm", "cp $served letters-1.0.0.tgz");
    place.obtain(None).unwrap();
    place.assert_there();
}

#[test]
fn wrong_contents_are_not_installed_nor_kept() {
    let place = Setting::new(&WRONG).with("npm", "cp $served letters-1.0.0.tgz");
    let error = place.obtain(None).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("abc.bin missing") && message.contains("`fewstep fetch letters --from PATH`"),
        "{message}"
    );
    assert!(message.contains("from the site, nor from the npm package letters@1.0.0"), "{message}");
    let Error::Unavailable { tried, .. } = error else { panic!("{message}") };
    assert_eq!(tried[0].reason, "curl is not installed");
    assert!(tried[1].reason.contains("abc.bin is not the published file"), "{tried:?}");
    assert_eq!((place.files("letters"), place.files("downloads")), (vec![], vec![]));
}

#[test]
fn a_wrong_file_in_place_is_replaced_and_others_are_left() {
    let place = Setting::new(&RIGHT).with_curl("cp $served $out");
    let folder = place.folder.path().join("cache/letters");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("abc.bin"), "half").unwrap();
    fs::write(folder.join("notes"), "mine").unwrap();
    place.obtain(None).unwrap();
    place.assert_there();
    assert_eq!(fs::read_to_string(folder.join("notes")).unwrap(), "mine");
}

#[test]
fn a_failed_fetch_leaves_what_is_in_place() {
    let place = Setting::new(&RIGHT);
    let folder = place.folder.path().join("cache/letters");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("abc.bin"), "mine").unwrap();
    assert!(place.obtain(None).is_err());
    assert_eq!(fs::read_to_string(folder.join("abc.bin")).unwrap(), "mine");
}

#[test]
fn a_folder_a_file_or_an_archive_of_the_users_is_taken() {
    let place = Setting::new(&RIGHT);
    let own = place.folder.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("default.bin"), "abc").unwrap();
    let error = format!("{}", place.obtain(Some(&own)).unwrap_err());
    assert!(error.contains("own: there is no empty.bin in it"), "{error}");
    fs::write(own.join("empty.bin"), "").unwrap();
    place.obtain(Some(&own)).unwrap();
    place.assert_there();
    assert!(own.join("default.bin").exists(), "the user's files are copied");

    let place = Setting::new(&RIGHT);
    place.obtain(Some(&place.folder.path().join("served.tgz"))).unwrap();
    place.assert_there();
    assert!(place.folder.path().join("served.tgz").exists());

    // A file of any name, known by its contents; the other one has to be there.
    let place = Setting::new(&RIGHT);
    let folder = place.folder.path().join("cache/letters");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("empty.bin"), "").unwrap();
    let file = place.folder.path().join("any.name");
    fs::write(&file, "abd").unwrap();
    let error = format!("{}", place.obtain(Some(&file)).unwrap_err());
    assert!(error.contains("any.name") && error.contains("published ba7816bf"), "{error}");
    fs::write(&file, "abc").unwrap();
    place.obtain(Some(&file)).unwrap();
    place.assert_there();
    // What is there already is asked for nowhere.
    place.obtain(Some("/nowhere".as_ref())).unwrap();
}

#[test]
fn files_packed_by_hand_into_the_cache_are_unpacked_there() {
    let place = Setting::new(&RIGHT);
    let folder = place.folder.path().join("cache/letters");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("abc.bin.gz"), crate::asset::tests::packed(b"abc")).unwrap();
    fs::write(folder.join("empty.bin"), "").unwrap();
    place.obtain(None).unwrap();
    place.assert_there();
}
