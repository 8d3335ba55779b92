//! How a command ends when it does not do what was asked.

use std::fmt;
use std::process::ExitCode;

use shardloom::types::Diagnostic;

/// Why a command failed, in words for the terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The answer is no, or problems were found; exit code 1.
    Problem(String),
    /// Problems were found and are printed already; exit code 1.
    Printed,
    /// Wrong use, or a configuration that is refused; exit code 2.
    Usage(String),
}

impl Failure {
    /// Makes a refused configuration of its findings, one per line.
    pub fn refused(findings: Vec<Diagnostic>) -> Self {
        Self::Usage(findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// Prints the failure on standard error and returns its exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Problem(_) => eprintln!("shardloom: {self}"),
            Self::Printed => {}
            Self::Usage(_) => eprintln!("shardloom: {self}"),
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Problem(_) | Self::Printed => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(text) | Self::Usage(text) => f.write_str(text),
            Self::Printed => f.write_str("problems were found"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_exit_with_1_and_wrong_use_with_2() {
        assert_eq!(Failure::Problem(String::new()).code(), 1);
        assert_eq!(Failure::Printed.code(), 1);
        assert_eq!(Failure::Usage(String::new()).code(), 2);
    }
}
