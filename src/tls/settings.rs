//! What the configuration says about TLS.

use std::path::PathBuf;

/// How much TLS there is to be, in libpq's and PgBouncer's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// None.
    #[default]
    Disable,
    /// Used if the other end wants it; unverified.
    Prefer,
    /// Nothing without it; unverified.
    Require,
    /// Nothing without it, and the other end's certificate must be from the CA.
    VerifyCa,
    /// As `VerifyCa`; a server's certificate must also be for its host name.
    VerifyFull,
}

/// One side's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How much.
    pub mode: Mode,
    /// The PEM file of the own certificate, with those between it and the CA.
    pub certificate: Option<PathBuf>,
    /// The PEM file of its private key.
    pub key: Option<PathBuf>,
    /// The PEM file of the certificates that are believed to sign the other end's.
    pub ca: Option<PathBuf>,
}

impl Mode {
    /// The words of the configuration, in the order of the modes.
    pub const WORDS: [&'static str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

    /// Returns the mode that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        const MODES: [Mode; 5] = [Mode::Disable, Mode::Prefer, Mode::Require, Mode::VerifyCa, Mode::VerifyFull];
        Self::WORDS.iter().position(|known| *known == word).map(|index| MODES[index])
    }

    /// Tells whether connections without TLS are refused.
    pub fn is_required(self) -> bool {
        match self {
            Self::Disable | Self::Prefer => false,
            Self::Require | Self::VerifyCa | Self::VerifyFull => true,
        }
    }

    /// Tells whether the other end's certificate must be from the CA.
    pub fn verifies(self) -> bool {
        match self {
            Self::Disable | Self::Prefer | Self::Require => false,
            Self::VerifyCa | Self::VerifyFull => true,
        }
    }
}
