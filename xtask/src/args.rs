//! Arguments to plain data. What follows `test` or a command of the program is not ours to understand: it is handed on
//! untouched, so that the program's own help and errors are the ones a person sees.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fewstep_fetch::nearest;
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};

use crate::bench::eval::{self, Part};
use crate::bench::speed;
use crate::fetch;
use crate::reproduce::{self, Scale};
use crate::setup::probe::LOAD;
use crate::setup::{Flavour, Request};
use crate::wheel;

pub(crate) const HELP: &str = include_str!("help.txt");

const NAMES: [&str; 21] = [
    "setup",
    "fetch",
    "train",
    "eval-fid",
    "reference",
    "dataset",
    "sample",
    "plan",
    "import",
    "export",
    "doctor",
    "test",
    "bench",
    "reproduce",
    "packages",
    "wheel",
    "examples",
    "layers",
    "tidy",
    "ci",
    "help",
];

/// What the program's `bench` measures.
const SPEED: [&str; 7] = ["step", "sample", "optim", "data", "scale", "norm", "network"];

/// What a person asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Setup(Request),
    Fetch(fetch::Request),
    /// A command of the program `fewstep`.
    Program {
        name: String,
        args: Vec<OsString>,
    },
    Test {
        args: Vec<OsString>,
    },
    Bench {
        filter: Option<String>,
    },
    BenchEval(eval::Request),
    BenchSpeed(speed::Request),
    Reproduce(reproduce::Request),
    Packages,
    Wheel(wheel::Request),
    Ci,
    Examples,
    Layers,
    Tidy,
    /// Hidden: load these libraries, for `setup`.
    Load {
        libraries: Vec<PathBuf>,
    },
}

/// # Errors
/// An unknown command (with the nearest known one), an option the command has not, or a value too many or too few.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = Parser::from_args(args);
    let name = match parser.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Value(name)) => name.string()?,
        Some(option) => return Err(option.unexpected().into()),
    };
    match name.as_str() {
        "setup" => return setup(parser),
        "fetch" => return fetch(parser),
        "train" | "eval-fid" | "reference" | "dataset" | "sample" | "plan" | "import" | "export"
        | "doctor" => {
            return Ok(Command::Program { name, args: rest(&mut parser)? });
        }
        "test" => return Ok(Command::Test { args: rest(&mut parser)? }),
        "bench" => return bench(parser),
        "reproduce" => return reproduce(parser),
        "wheel" => return wheel(parser),
        LOAD => {
            return Ok(Command::Load { libraries: rest(&mut parser)?.into_iter().map(Into::into).collect() });
        }
        _ => {}
    }
    let command = match name.as_str() {
        "ci" => Command::Ci,
        "packages" => Command::Packages,
        "examples" => Command::Examples,
        "layers" => Command::Layers,
        "tidy" => Command::Tidy,
        "help" => Command::Help,
        unknown => match nearest(unknown, &NAMES) {
            Some(known) => bail!("no command `{unknown}`; did you mean `{known}`?"),
            None => bail!("no command `{unknown}`; `cargo xtask help` lists them"),
        },
    };
    match parser.next()? {
        None => Ok(command),
        Some(Short('h') | Long("help")) => Ok(Command::Help),
        Some(more) => Err(more.unexpected().into()),
    }
}

fn setup(mut parser: Parser) -> Result<Command> {
    let mut request = Request { probe: true, ..Request::default() };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("cuda") => request.flavour = Flavour::Cuda,
            Long("python") => request.python = Some(parser.value()?.into()),
            Long("force") => request.force = true,
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if request.flavour == Flavour::Cuda && request.python.is_some() {
        bail!("--python says which torch to take and --cuda which to install: give one of them");
    }
    Ok(Command::Setup(request))
}

fn fetch(mut parser: Parser) -> Result<Command> {
    let mut request = fetch::Request::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Value(name) => request.names.push(name.string()?),
            Long("from") => request.from = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if request.from.is_some() && request.names.len() != 1 {
        bail!("--from takes one thing from a place of your own: name that one");
    }
    Ok(Command::Fetch(request))
}

fn bench(mut parser: Parser) -> Result<Command> {
    let mut filter = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Value(value) if filter.is_none() && value == "eval" => return bench_eval(parser),
            Value(value) if filter.is_none() && SPEED.iter().any(|&known| value == known) => {
                return bench_speed(value, parser);
            }
            Value(value) if filter.is_none() => filter = Some(value.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Bench { filter })
}

/// The program's own measurements, `fewstep bench WHAT`; with `--peer`, beside PyTorch.
fn bench_speed(what: OsString, mut parser: Parser) -> Result<Command> {
    let args = rest(&mut parser)?;
    if !args.iter().any(|arg| arg == "--peer") {
        return Ok(Command::Program {
            name: "bench".into(),
            args: std::iter::once(what).chain(args).collect(),
        });
    }
    let what = what.string()?;
    if !["step", "sample"].contains(&what.as_str()) {
        bail!("bench {what} has no peer; `step` and `sample` have");
    }
    let mut request = speed::Request {
        what,
        options: Vec::new(),
        pairs: 3,
        compile: false,
        peer_compute: None,
        python: None,
        json: None,
    };
    let mut parser = Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("peer") => {}
            Long("compile") => request.compile = true,
            Long("pairs") => request.pairs = parser.value()?.parse::<std::num::NonZero<usize>>()?.get(),
            Long("peer-compute") => request.peer_compute = Some(parser.value()?.string()?),
            Long("python") => request.python = Some(parser.value()?.into()),
            Long("json") => request.json = Some(parser.value()?.into()),
            Long(name) if speed::SHARED.contains(&name) || speed::OURS.contains(&name) => {
                let name = name.to_owned();
                request.options.push((name, parser.value()?.string()?));
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::BenchSpeed(request))
}

fn bench_eval(mut parser: Parser) -> Result<Command> {
    let mut request = eval::Request::default();
    while let Some(arg) = parser.next()? {
        let count = match &arg {
            Long("threads") => &mut request.threads,
            Long("pairs") => &mut request.pairs,
            Long("images") => &mut request.images,
            Long("fid-images") => &mut request.fid_images,
            Long("python") => {
                request.python = Some(parser.value()?.into());
                continue;
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(name) => {
                let part = Part::ALL.into_iter().find(|part| name == part.name());
                request.parts.push(part.with_context(|| format!("bench eval has no part {name:?}"))?);
                continue;
            }
            _ => return Err(arg.unexpected().into()),
        };
        *count = parser.value()?.parse::<std::num::NonZero<usize>>()?.get();
    }
    Ok(Command::BenchEval(request))
}

fn reproduce(mut parser: Parser) -> Result<Command> {
    let mut request = reproduce::Request { scale: Scale::Mini, out: None };
    let mut table = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Value(name) if table.is_none() && name == "digits" => table = Some(()),
            Value(name) => bail!("reproduce has no table {name:?}; there is `digits`"),
            Long("scale") => request.scale = Scale::parse(&parser.value()?.string()?)?,
            Long("out") => request.out = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    table.context("reproduce: name a table; there is `digits`")?;
    Ok(Command::Reproduce(request))
}

fn wheel(mut parser: Parser) -> Result<Command> {
    let mut request = wheel::Request::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("out") => request.out = Some(parser.value()?.into()),
            Long("program") => request.program = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Wheel(request))
}

fn rest(parser: &mut Parser) -> Result<Vec<OsString>> {
    Ok(parser.raw_args()?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn setup_takes_its_options() {
        let expected = Request {
            flavour: Flavour::Cpu,
            python: Some("/venv/bin/python".into()),
            force: true,
            probe: true,
        };
        assert_eq!(
            parsed("setup --force --python /venv/bin/python").unwrap(),
            Command::Setup(expected.clone())
        );
        assert_eq!(parsed("setup --python=/venv/bin/python --force").unwrap(), Command::Setup(expected));
        let Command::Setup(request) = parsed("setup --cuda").unwrap() else { panic!("not a setup") };
        assert_eq!(request.flavour, Flavour::Cuda);
        assert!(parsed("setup --cuda --python python3").unwrap_err().to_string().contains("one of them"));
        assert!(parsed("setup --cdua").unwrap_err().to_string().contains("--cdua"));
        assert!(parsed("setup --python").is_err());
    }

    #[test]
    fn fetch_takes_names_or_one_name_and_a_place() {
        let Command::Fetch(request) = parsed("fetch mnist cifar10").unwrap() else { panic!("not a fetch") };
        assert_eq!((request.names, request.from), (vec!["mnist".to_owned(), "cifar10".to_owned()], None));
        let Command::Fetch(request) = parsed("fetch mnist --from /data").unwrap() else {
            panic!("not a fetch")
        };
        assert_eq!(request.from, Some("/data".into()));
        assert_eq!(parsed("fetch").unwrap(), Command::Fetch(fetch::Request::default()));
        assert!(parsed("fetch --from /data").unwrap_err().to_string().contains("name that one"));
        assert!(parsed("fetch a b --from /data").is_err());
    }

    #[test]
    fn the_programs_arguments_are_handed_on_untouched() {
        let Command::Program { name, args } = parsed("train --config a.toml --set x=1 -- --help").unwrap()
        else {
            panic!("not a program")
        };
        assert_eq!(name, "train");
        assert_eq!(args, ["--config", "a.toml", "--set", "x=1", "--", "--help"]);
        for command in ["eval-fid", "reference", "dataset", "sample", "plan", "import", "export", "doctor"] {
            let expected = Command::Program { name: command.to_owned(), args: vec!["--help".into()] };
            assert_eq!(parsed(&format!("{command} --help")).unwrap(), expected);
        }
        let Command::Test { args } = parsed("test -p xtask -- --nocapture").unwrap() else {
            panic!("not a test")
        };
        assert_eq!(args, ["-p", "xtask", "--", "--nocapture"]);
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        assert!(parsed("tset").unwrap_err().to_string().contains("did you mean `test`"));
        assert!(parsed("stup").unwrap_err().to_string().contains("did you mean `setup`"));
        let far = parsed("reticulate").unwrap_err().to_string();
        assert!(far.contains("reticulate") && !far.contains("did you mean"), "{far}");
    }

    #[test]
    fn reproduce_names_a_table_and_its_scale() {
        let request = |scale, out: Option<&str>| {
            Command::Reproduce(reproduce::Request { scale, out: out.map(Into::into) })
        };
        assert_eq!(parsed("reproduce digits").unwrap(), request(Scale::Mini, None));
        let smoke = parsed("reproduce digits --scale smoke --out docs/x.md").unwrap();
        assert_eq!(smoke, request(Scale::Smoke, Some("docs/x.md")));
        assert!(parsed("reproduce").unwrap_err().to_string().contains("`digits`"));
        assert!(parsed("reproduce faces").unwrap_err().to_string().contains("faces"));
        assert!(parsed("reproduce digits --scale huge").unwrap_err().to_string().contains("smoke or mini"));
    }

    #[test]
    fn wheel_takes_a_folder_and_a_program() {
        let request = |out: Option<&str>, program: Option<&str>| {
            Command::Wheel(wheel::Request { out: out.map(Into::into), program: program.map(Into::into) })
        };
        assert_eq!(parsed("wheel").unwrap(), request(None, None));
        assert_eq!(parsed("wheel --out dist --program x").unwrap(), request(Some("dist"), Some("x")));
        assert!(parsed("wheel --out").is_err() && parsed("wheel dist").is_err());
    }

    #[test]
    fn nothing_is_help_and_too_much_is_an_error() {
        assert_eq!(parsed("").unwrap(), Command::Help);
        assert_eq!(parsed("--help").unwrap(), Command::Help);
        assert_eq!(parsed("setup --help").unwrap(), Command::Help);
        assert!(parsed("ci now").is_err());
        assert!(parsed("bench one two").is_err());
        assert_eq!(parsed("bench ddim").unwrap(), Command::Bench { filter: Some("ddim".into()) });
    }

    #[test]
    fn bench_step_is_the_programs_or_beside_the_peer() {
        let Command::Program { name, args } = parsed("bench step --batch 4").unwrap() else {
            panic!("not the program")
        };
        assert_eq!((name.as_str(), args), ("bench", vec!["step".into(), "--batch".into(), "4".into()]));
        let line = "bench sample --peer --network digits --steps 32 --pairs 5 --compile --peer-compute bf16";
        let Command::BenchSpeed(request) = parsed(line).unwrap() else { panic!("not beside the peer") };
        assert_eq!((request.pairs, request.compile, request.what.as_str()), (5, true, "sample"));
        assert_eq!(request.peer_compute.as_deref(), Some("bf16"));
        let options = [("network", "digits"), ("steps", "32")];
        assert_eq!(request.options, options.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for line in ["bench optim --peer", "bench step --peer --speed 1", "bench step --peer --pairs 0"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn bench_eval_takes_parts_and_numbers() {
        let Command::BenchEval(request) = parsed("bench eval").unwrap() else { panic!("not an evaluation") };
        assert_eq!(request, eval::Request::default());
        let line = "bench eval fid --threads 4 --images 8 distance --python /venv --fid-images 32 --pairs 1";
        let Command::BenchEval(request) = parsed(line).unwrap() else { panic!("not an evaluation") };
        let expected = eval::Request {
            parts: vec![Part::Fid, Part::Distance],
            threads: 4,
            pairs: 1,
            images: 8,
            fid_images: 32,
            python: Some("/venv".into()),
        };
        assert_eq!(request, expected);
        for line in ["bench eval speed", "bench eval --pairs 0", "bench eval --images", "bench --pairs 2"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_lists_every_command() {
        for name in NAMES {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
    }
}
