//! Flags, environment and file joined into one [`Config`]: a flag beats a variable, a variable
//! beats the file, the file beats the default.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::addr::{self, Addr};
use super::environment::Environment;
use super::file::{self, Settings};
use super::problem::{Error, Problems};
use super::secrets::{Secrets, check_header_secret};
use super::tree::quoted;
use super::{Args, Config, LogFormat, warnings};
use crate::rules::Rulebook;
use crate::secret::Secret;
use crate::source::Source;

/// Where the server listens, and where a client looks for it, if nobody says otherwise.
pub(crate) const DEFAULT_ADDR: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 21_212);

const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// The file that flags and environment name. An error where the variable is unusable.
pub(super) fn file_path(args: &Args, environment: &Environment) -> Result<Option<PathBuf>, String> {
    if let Some(path) = &args.config {
        if path.as_os_str().is_empty() {
            return Err("--config: an empty path; name a file".to_owned());
        }
        return Ok(Some(path.clone()));
    }
    match environment.variable("MECHA_CONFIG") {
        Some(path) if path.is_empty() => {
            Err("MECHA_CONFIG is set and empty; name a file or unset it".to_owned())
        }
        path => Ok(path.map(PathBuf::from)),
    }
}

/// Reads everything and reports every problem.
pub(super) fn load(args: &Args, environment: &Environment) -> Result<Config, Error> {
    let mut problems = Problems::default();
    let mut secrets = Secrets::new(environment);
    let mut warnings = Vec::new();

    let keys_replaced = args.api_key.is_some() || environment.variable("MECHA_API_KEY").is_some();
    let path = file_path(args, environment).unwrap_or_else(|text| {
        problems.add(0, text);
        None
    });
    let settings = match &path {
        Some(path) => file::read(path, keys_replaced, &mut secrets, &mut problems),
        None => Settings::default(),
    };
    if let Some(path) = path.filter(|_| secrets.has_literal()) {
        warnings.extend(warnings::warn_of_readable_secrets(&path));
    }

    let given_keys = read_given_keys(args, &mut secrets, &mut problems, &mut warnings);
    // Keys that cannot be read are problems already; the API is not open for that.
    let is_open = given_keys.is_none() && settings.api_keys.is_none() && !settings.is_partial;
    let api_keys = given_keys.or(settings.api_keys).unwrap_or_default();
    let addr = read_addr(args, environment, settings.addr, &mut problems);
    let data = read_data(args, environment, settings.data, &mut problems);
    let log = read_log(args, environment, &mut problems);
    let allow_anonymous = read_allow_anonymous(args, environment, &mut problems);
    if is_open && !addr.ip().to_canonical().is_loopback() {
        if allow_anonymous {
            warnings.push(format!(
                "no API key is set: whoever reaches {addr} may submit tasks and read results"
            ));
        } else {
            problems.add(0, anonymous_text(addr));
        }
    }
    warnings.extend(warnings::warn_of_limits(
        &settings.limits,
        !settings.sources.is_empty(),
    ));
    warnings.extend(settings.sources.iter().filter_map(warnings::warn_of_source));
    for worker in &settings.workers {
        warnings.extend(warnings::warn_of_command(worker, environment));
    }

    let mut secret_variables = secrets.variables();
    secret_variables.push("MECHA_API_KEY".to_owned());
    secret_variables.sort_unstable();
    secret_variables.dedup();
    problems.or(Config {
        addr,
        api_keys,
        allow_anonymous,
        data,
        log,
        drain: settings.drain.unwrap_or(DEFAULT_DRAIN),
        limits: settings.limits,
        workers: settings.workers,
        rules: Rulebook::new(settings.rules),
        sources: settings.sources,
        secret_variables,
        warnings,
    })
}

/// The source of that name in the file, if it is without fault.
pub(super) fn find_source(
    args: &Args,
    name: &str,
    environment: &Environment,
) -> Result<Source, Vec<String>> {
    let path = file_path(args, environment).map_err(|text| vec![text])?;
    let Some(path) = path else {
        let text =
            "no configuration: name the file with the source's secret by --config or MECHA_CONFIG";
        return Err(vec![text.to_owned()]);
    };
    let mut problems = Problems::default();
    let settings = file::read(&path, true, &mut Secrets::new(environment), &mut problems);
    let mut names: Vec<&str> = settings.sources.iter().map(Source::name).collect();
    names.sort_unstable();
    if let Some(source) = settings.sources.iter().find(|source| source.name() == name) {
        return Ok(source.clone());
    }
    // The source may be one that could not be read.
    problems.or(()).map_err(|error| {
        error
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    })?;
    Err(vec![format!(
        "{}: there is no source {}; it has: {}",
        path.display(),
        quoted(name),
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    )])
}

/// The key that a client sends, and what is to be warned of.
pub(super) fn client_key(
    given: Option<&Secret>,
    environment: &Environment,
) -> Result<(Option<Secret>, Vec<String>), String> {
    let args = Args {
        api_key: given.cloned(),
        ..Args::default()
    };
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let keys = read_given_keys(
        &args,
        &mut Secrets::new(environment),
        &mut problems,
        &mut warnings,
    );
    match problems.in_one_line(1) {
        Some(text) => Err(text),
        None => Ok((keys.into_iter().flatten().next(), warnings)),
    }
}

fn anonymous_text(addr: SocketAddr) -> String {
    format!(
        "{addr} can be reached from other machines and no API key is set; set MECHA_API_KEY, listen on 127.0.0.1:{}, or allow it with --allow-anonymous",
        addr.port()
    )
}

/// The API key of the command line or the environment. `Some` where one is given, even a bad
/// one: the file's keys are replaced either way.
fn read_given_keys(
    args: &Args,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Option<Vec<Secret>> {
    let (name, read) = match &args.api_key {
        Some(written) => {
            let written = written.reveal();
            if !written.starts_with("env:") && !written.starts_with("file:") {
                warnings.push(
                    "the key behind --api-key can be seen in the list of processes; use MECHA_API_KEY, env:NAME or file:/path"
                        .to_owned(),
                );
            }
            ("--api-key", secrets.read(written))
        }
        None => match secrets.environment().text("MECHA_API_KEY") {
            Ok(None) => return None,
            Ok(Some(written)) => ("MECHA_API_KEY", secrets.read(written)),
            Err(text) => {
                problems.add(0, text);
                return Some(Vec::new());
            }
        },
    };
    match read.and_then(check_header_secret) {
        Ok(key) => Some(vec![key]),
        Err(text) => {
            problems.add(0, format!("{name}: {text}"));
            Some(Vec::new())
        }
    }
}

/// The address to listen on. Any address stands in for one that could not be read, since the
/// problem ends the matter.
fn read_addr(
    args: &Args,
    environment: &Environment,
    of_file: Option<Addr>,
    problems: &mut Problems,
) -> SocketAddr {
    let read = given(args.addr.as_deref(), "--addr", "MECHA_ADDR", environment).and_then(|given| {
        let Some((name, text)) = given else {
            let Some(addr) = of_file else {
                return Ok(DEFAULT_ADDR);
            };
            return addr
                .resolve()
                .map_err(|text| format!("addr = \"{addr}\": {text}"));
        };
        addr::parse(text)
            .and_then(|addr| addr.resolve())
            .map_err(|error| format!("{name} {}: {error}", quoted(text)))
    });
    read.unwrap_or_else(|text| {
        problems.add(0, text);
        DEFAULT_ADDR
    })
}

fn read_data(
    args: &Args,
    environment: &Environment,
    of_file: Option<PathBuf>,
    problems: &mut Problems,
) -> PathBuf {
    let (name, path) = match (&args.data, environment.variable("MECHA_DATA")) {
        (Some(path), _) => ("--data", path.as_path()),
        (None, Some(path)) => ("MECHA_DATA", Path::new(path)),
        (None, None) => match of_file {
            Some(path) => return path,
            None => ("the data directory", Path::new("~/.mecha/data")),
        },
    };
    let read = if path.as_os_str().is_empty() {
        Err("an empty path; name a directory".to_owned())
    } else {
        environment.expand_home(path)
    };
    read.unwrap_or_else(|text| {
        let text = if name == "the data directory" {
            "HOME is not set, so there is no default for the data directory; name one with --data DIR or MECHA_DATA"
                .to_owned()
        } else {
            format!("{name} {}: {text}", quoted(&path.to_string_lossy()))
        };
        problems.add(0, text);
        path.to_owned()
    })
}

fn read_log(args: &Args, environment: &Environment, problems: &mut Problems) -> LogFormat {
    let read =
        given(args.log.as_deref(), "--log", "MECHA_LOG", environment).and_then(
            |given| match given {
                None | Some((_, "text")) => Ok(LogFormat::Text),
                Some((_, "json")) => Ok(LogFormat::Json),
                Some((name, other)) => Err(format!(
                    "{name} {}: not a format; write text or json",
                    quoted(other)
                )),
            },
        );
    read.unwrap_or_else(|text| {
        problems.add(0, text);
        LogFormat::Text
    })
}

fn read_allow_anonymous(args: &Args, environment: &Environment, problems: &mut Problems) -> bool {
    if args.allow_anonymous {
        return true;
    }
    match environment
        .variable("MECHA_ALLOW_ANONYMOUS")
        .map(OsStr::to_str)
    {
        None | Some(Some("" | "0")) => false,
        Some(Some("1")) => true,
        Some(other) => {
            let shown = other.unwrap_or("(not UTF-8)");
            problems.add(
                0,
                format!(
                    "MECHA_ALLOW_ANONYMOUS {}: write 1 to allow it, or unset it",
                    quoted(shown)
                ),
            );
            false
        }
    }
}

/// The text of a flag, else of its variable, with the name of the one that counts.
fn given<'a>(
    flag: Option<&'a str>,
    flag_name: &'static str,
    variable_name: &'static str,
    environment: &'a Environment,
) -> Result<Option<(&'static str, &'a str)>, String> {
    if let Some(text) = flag {
        return Ok(Some((flag_name, text)));
    }
    let text = environment.text(variable_name)?;
    Ok(text.map(|text| (variable_name, text)))
}
