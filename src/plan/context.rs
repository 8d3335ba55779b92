//! What a plan is made from, beside the statement.

use super::catalog::Catalog;
use super::insert::Parameters;
use crate::rules::RuleSet;
use crate::sql::Literal;

/// What planning may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The snapshot of the rules.
    pub rules: &'a RuleSet,
    /// What the servers' catalogs say.
    pub catalog: &'a Catalog,
}

/// The values of one execution.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The statement's text: the one that was prepared, or one with an equal skeleton.
    pub text: &'a str,
    /// The literals of that text.
    pub literals: &'a [Literal],
    /// The parameters bound.
    pub parameters: Parameters<'a>,
}

impl Parameters<'_> {
    /// Tells whether the parameter is in binary format.
    pub fn is_binary(&self, index: usize) -> bool {
        let format = match self.formats {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        };
        format == 1
    }

    /// Returns the declared type's oid, 0 for none.
    pub fn type_of(&self, index: usize) -> u32 {
        self.types.get(index).copied().unwrap_or(0)
    }
}
