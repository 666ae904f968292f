//! Every flag as an environment variable: `--max-rate` is also `VOLLEY_MAX_RATE`.
//!
//! It is done once, over the finished definitions, so that a flag added later has its variable too.

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// Said once, below the help, and not for each flag.
const NOTE: &str = "\
Environment:
  Every flag can be given as a variable too: VOLLEY_ and its name in
  capitals, with _ for -, so VOLLEY_LOSS=5% is --loss 5%. Flags without a
  value take 1, true, yes or 0, false, no. What the command line says wins,
  and an empty variable counts as not set.";

/// The definitions with a variable for each flag.
#[must_use]
pub fn with_variables(command: Command) -> Command {
    let command = command.mut_args(with_variable).mut_subcommands(with_variables);
    if command.has_subcommands() || command.get_arguments().any(|arg| arg.get_env().is_some()) {
        let before =
            command.get_after_help().map_or_else(String::new, |text| format!("{text}\n\n"));
        return command.after_help(format!("{before}{NOTE}"));
    }
    command
}

/// The variable that stands for a flag.
#[must_use]
pub fn variable(long: &str) -> String {
    format!("VOLLEY_{}", long.to_ascii_uppercase().replace('-', "_"))
}

fn with_variable(arg: Arg) -> Arg {
    let Some(variable) = arg.get_long().map(variable) else {
        return arg;
    };
    let arg = match arg.get_action() {
        ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort | ArgAction::Version => {
            return arg;
        }
        ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
        _ => arg,
    };
    if std::env::var_os(&variable).is_some_and(|value| value.is_empty()) {
        return arg;
    }
    arg.env(variable).hide_env(true)
}

/// The variable that is to blame for an error in `words`, if the environment is.
///
/// `plain` are the definitions without variables, by which the command line alone is judged.
#[must_use]
pub fn blame(error: &clap::Error, plain: Command, words: &[OsString]) -> Option<String> {
    let flag = blamed_flag(error)?;
    if let Err(same) = plain.try_get_matches_from(words)
        && same.to_string() == error.to_string()
    {
        return None;
    }
    Some(variable(flag))
}

/// The long flag whose value makes no sense.
fn blamed_flag(error: &clap::Error) -> Option<&str> {
    use clap::error::{ContextKind, ContextValue};
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    shown.strip_prefix("--")?.split([' ', '=']).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::CommandFactory;

    #[test]
    fn every_flag_of_every_command_has_its_variable() {
        let definitions = with_variables(Arguments::command());
        let mut flags = 0;
        for command in definitions.get_subcommands() {
            let long = command.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
            for (arg, long) in long.filter(|(_, long)| !matches!(*long, "help" | "version")) {
                let name = variable(long);
                assert_eq!(arg.get_env(), Some(name.as_ref()), "{} --{long}", command.get_name());
                flags += 1;
            }
        }
        assert!(flags > 15, "{flags}");
    }

    #[test]
    fn help_says_it_once() {
        let mut definitions = with_variables(Arguments::command());
        for command in definitions.get_subcommands_mut() {
            let says = command.get_arguments().any(|arg| arg.get_env().is_some());
            let help = command.render_help().to_string();
            assert_eq!(help.matches("VOLLEY_").count(), if says { 2 } else { 0 }, "{help}");
        }
    }

    #[test]
    fn a_name_is_in_capitals_without_hyphens() {
        assert_eq!(variable("max-rate"), "VOLLEY_MAX_RATE");
    }
}
