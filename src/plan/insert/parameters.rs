//! The client's parameters as Bind brought them.

/// Parameters of one execution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parameters<'a> {
    /// Whether the statement came by the extended protocol: ids then become parameters too, so that the text stays.
    pub is_extended: bool,
    /// The values, `$1` first; `None` is NULL.
    pub values: &'a [Option<&'a [u8]>],
    /// 0 text, 1 binary; none: all text, one: for all.
    pub formats: &'a [i16],
    /// Type oids; missing or 0: inferred by the server.
    pub types: &'a [u32],
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    /// The bytes; `None` is NULL.
    pub value: Option<&'a [u8]>,
    /// Whether the bytes are in the type's binary format.
    pub binary: bool,
    /// The type's oid, 0 if it is not known.
    pub type_oid: u32,
}

impl<'a> Parameters<'a> {
    /// Returns one parameter by its 0-based index.
    pub(super) fn parameter(&self, index: usize) -> Option<Parameter<'a>> {
        let value = *self.values.get(index)?;
        let format = match self.formats {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        };
        Some(Parameter { value, binary: format == 1, type_oid: self.types.get(index).copied().unwrap_or(0) })
    }
}
