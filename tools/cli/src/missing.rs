//! What only some builds have, and what a build without it says.

use clap::{Arg, ArgAction, Command};

use crate::failure::{Failure, INSTALL};

/// A command that needs a feature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Optional {
    name: &'static str,
    feature: &'static str,
    /// Whether this build has the feature.
    built: bool,
}

/// The commands that need a feature.
pub(crate) const OPTIONAL: [Optional; 5] = [
    Optional {
        name: "models",
        feature: "hub",
        built: cfg!(feature = "hub"),
    },
    Optional {
        name: "bench",
        feature: "bench",
        built: cfg!(feature = "bench"),
    },
    Optional {
        name: "serve",
        feature: "serve",
        built: cfg!(feature = "serve"),
    },
    Optional {
        name: "completions",
        feature: "shell",
        built: cfg!(feature = "shell"),
    },
    Optional {
        name: "man",
        feature: "shell",
        built: cfg!(feature = "shell"),
    },
];

impl Optional {
    /// What the command says where it is missing.
    pub(crate) fn refusal(&self) -> Failure {
        lacks(&format!("`lanerank {}`", self.name), self.feature)
    }

    /// A stand-in that takes any arguments, `--help` too.
    fn stand_in(&self) -> Command {
        let rest = Arg::new("rest")
            .action(ArgAction::Append)
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .hide(true);
        Command::new(self.name)
            .about(format!(
                "Not in this build: needs the feature `{}`",
                self.feature
            ))
            .disable_help_flag(true)
            .arg(rest)
    }
}

/// Adds stand-ins for what is not built, so that `--help` lists all commands.
pub(crate) fn complete(command: Command, optional: &[Optional]) -> Command {
    let missing = optional.iter().filter(|optional| !optional.built);
    command.subcommands(missing.map(Optional::stand_in))
}

/// The missing command of this name.
pub(crate) fn find<'a>(name: &str, optional: &'a [Optional]) -> Option<&'a Optional> {
    let mut missing = optional.iter().filter(|optional| !optional.built);
    missing.find(|optional| optional.name == name)
}

/// The refusal of what needs a feature that this build lacks.
pub(crate) fn lacks(what: &str, feature: &str) -> Failure {
    Failure::Usage(format!(
        "{what} needs the feature `{feature}`, which this build lacks; {INSTALL}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: [Optional; 2] = [
        Optional {
            name: "serve",
            feature: "serve",
            built: false,
        },
        Optional {
            name: "bench",
            feature: "bench",
            built: true,
        },
    ];

    #[test]
    fn missing_commands_are_listed_and_take_any_arguments() {
        let command = || complete(Command::new("lanerank"), &MISSING);
        let help = command().render_help().to_string();
        assert!(help.contains("serve"), "{help}");
        assert!(help.contains("needs the feature `serve`"), "{help}");
        assert!(!help.contains("bench"), "{help}");
        for args in [
            &["lanerank", "serve"][..],
            &["lanerank", "serve", "--help"],
            &["lanerank", "serve", "--listen", "127.0.0.1:0", "-x", "y"],
        ] {
            let matches = command().try_get_matches_from(args).unwrap();
            let name = matches.subcommand_name().unwrap();
            let refusal = find(name, &MISSING).unwrap().refusal();
            assert_eq!(refusal.exit_code(), 2);
            let refusal = refusal.to_string();
            assert!(refusal.starts_with("`lanerank serve` needs the feature `serve`"));
            assert!(refusal.contains(INSTALL), "{refusal}");
        }
        assert!(find("bench", &MISSING).is_none());
    }

    #[test]
    fn the_readme_has_the_same_command() {
        let readme = include_str!("../../../README.md");
        let command = INSTALL.split('`').nth(1).unwrap();
        assert_eq!(command, "cargo install --path tools/cli --features full");
        assert!(readme.contains(command));
    }
}
