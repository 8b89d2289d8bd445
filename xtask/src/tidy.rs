//! `tidy`: the house rules of CONTRIBUTING.md that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::checkout::Checkout;

/// Past this a source file holds more than one idea.
const LONGEST: usize = 500;

/// The folders that are the project's, beside the files of the root: a checkout may hold environments, runs and builds
/// that are not.
const FOLDERS: [&str; 7] = [".cargo", ".ci", "configs", "crates", "docs", "tests", "xtask"];

/// Files that are text by their name.
const TEXT: [&str; 6] = ["rs", "toml", "md", "sh", "py", "cpp"];

/// A rule on the text of a line; each says what it objects to. In the source of this file the texts that are looked
/// for are written in pieces, or it would object to itself.
const RULES: [fn(&str) -> Option<String>; 3] = [home_folder, registry_host, unnumbered_todo];

pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    let mut files = Vec::new();
    collect(&checkout.root, false, &mut files)?;
    for folder in FOLDERS.map(|name| checkout.root.join(name)).iter().filter(|folder| folder.is_dir()) {
        collect(folder, true, &mut files)?;
    }
    ensure!(
        files.iter().any(|file| file.ends_with(file!())),
        "the check is blind: it does not see its own source"
    );
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(&checkout.root).unwrap_or(file);
        found.extend(objections(name, &text));
    }
    if !found.is_empty() {
        let lines: String = found.iter().map(|line| format!("\n  {line}")).collect();
        bail!("against the house rules (CONTRIBUTING.md):{lines}");
    }
    println!("tidy: {} files keep to the house rules", files.len());
    Ok(())
}

fn collect(folder: &Path, deep: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let context = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() && deep {
            collect(&path, deep, files)?;
        } else if kind.is_file() && is_text(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| TEXT.contains(&extension)) || path.ends_with(".ci/run")
}

fn objections(file: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let length = text.lines().count();
    if length > LONGEST && file.extension().is_some_and(|extension| extension == "rs") {
        found.push(format!("{}: {length} lines, at most {LONGEST}", file.display()));
    }
    for (number, line) in text.lines().enumerate() {
        let objections = RULES.iter().filter_map(|rule| rule(line));
        found.extend(objections.map(|objection| format!("{}:{}: {objection}", file.display(), number + 1)));
    }
    found
}

/// A path of somebody's machine helps nobody else.
fn home_folder(line: &str) -> Option<String> {
    let starts = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];
    let start = starts.into_iter().find(|start| {
        line.match_indices(start).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + start.len()..].chars().next();
            // Not the middle of a longer path or of an address.
            before.is_none_or(|c| !c.is_alphanumeric() && !"_-.~}".contains(c))
                && after.is_some_and(char::is_alphanumeric)
        })
    })?;
    Some(format!("a path of one machine (`{start}...`)"))
}

/// Packages are named and left to the clients, whose settings know where a user's mirror is.
fn registry_host(line: &str) -> Option<String> {
    let hosts = [
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("registry.npm", "js.org"),
        concat!("deb.deb", "ian.org"),
    ];
    let host = hosts.into_iter().find(|host| line.contains(host))?;
    Some(format!("the address of a package registry ({host}): name the package instead"))
}

fn unnumbered_todo(line: &str) -> Option<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let word = words.into_iter().find(|word| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (line[..at].chars().next_back(), &line[at + word.len()..]);
            let whole_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
                && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            whole_word && !after.starts_with("(#")
        })
    })?;
    Some(format!("a {word} without an issue: write {word}(#number)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_source_file_is_reported_and_a_long_table_is_not() {
        let long = "\n".repeat(LONGEST + 1);
        assert!(objections(Path::new("a.rs"), &long)[0].contains("501 lines"));
        assert!(objections(Path::new("a.rs"), &"\n".repeat(LONGEST)).is_empty());
        assert!(objections(Path::new("a.md"), &long).is_empty());
    }

    #[test]
    fn each_rule_objects_to_what_it_is_for_and_to_nothing_else() {
        let bad = [
            concat!("let data = \"/ho", "me/ada/data\";"),
            concat!("see https://crates", ".io/crates/tch"),
            concat!("// TO", "DO: later"),
        ];
        let good =
            ["https://example.com/home/page", "~/home/x, ${HOME}/home/x", "a TODOS list", "// TODO(#12): x"];
        for (rule, line) in RULES.iter().zip(bad) {
            assert!(rule(line).is_some(), "{line}");
            for line in good {
                assert_eq!(rule(line), None, "{line}");
            }
        }
    }

    #[test]
    fn an_objection_names_the_place() {
        let text = format!("fine\n{}\n", concat!("/ro", "ot/secret"));
        let found = objections(Path::new("docs/a.md"), &text);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/a.md:2: "), "{}", found[0]);
    }
}
