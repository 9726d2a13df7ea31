//! `mecha check`: every problem of a configuration, or its summary.

use std::fmt::Write;
use std::path::Path;

use super::{Exit, output};
use crate::config::{self, Args, Config};

/// Checks the configuration that `mecha serve` with the same arguments would run with.
pub(super) fn run(args: &Args) -> Exit {
    let config = match Config::load(args) {
        Ok(config) => config,
        Err(error) => {
            // File and line stand first, where editors look for them.
            for problem in error.problems() {
                output::report(&problem.to_string());
            }
            return Exit::Usage;
        }
    };
    let Some(file) = config::file_path(args) else {
        let advice = if Path::new("mecha.toml").is_file() {
            "try 'mecha check --config mecha.toml'"
        } else {
            "'mecha init' writes one"
        };
        output::complain(&format!(
            "no file to check: neither --config nor MECHA_CONFIG names one; {advice}"
        ));
        return Exit::Usage;
    };
    for warning in &config.warnings {
        output::report(&format!("warning: {warning}"));
    }
    output::print(&report(&file, &config));
    Exit::Done
}

fn report(file: &Path, config: &Config) -> String {
    let mut text = format!("{} is valid\n", file.display().to_string().escape_debug());
    for (name, value) in config.summary() {
        let _ = writeln!(text, "  {name:<8} {value}");
    }
    text
}
