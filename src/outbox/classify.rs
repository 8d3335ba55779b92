//! What kind of failure an SQLSTATE is. Pure.

/// Kinds of failure, by what is to be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The target cannot be reached: the lane waits, attempts stay untouched.
    Unreachable,
    /// May pass at the next try.
    Transient,
    /// Disk or memory: capped retry, attempts stay untouched.
    Resources,
    /// Tables or columns are missing or differ: the lane is blocked and probed.
    SchemaDrift,
    /// A foreign key, which may only be a question of order.
    ForeignKey,
    /// A key exists already with another content.
    Conflict,
    /// The target refuses the values.
    Refused,
    /// Another relay has taken the lane over: this one stops.
    Fenced,
}

impl FailureClass {
    /// Classifies an SQLSTATE; `None` is a failure without one: connect, TLS, DNS, a broken connection.
    pub fn of(state: Option<&str>) -> Self {
        let Some(code) = state else { return Self::Unreachable };
        match code {
            "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "53300" | "25006" | "25P03" => Self::Unreachable,
            "40001" | "40P01" | "55P03" | "57014" => Self::Transient,
            "53100" | "53200" | "53400" => Self::Resources,
            "42P01" | "42703" | "42883" | "42704" | "3F000" | "42P10" | "42804" | "42501" => Self::SchemaDrift,
            "23503" => Self::ForeignKey,
            "23505" => Self::Conflict,
            _ => match &code[..code.len().min(2)] {
                "08" | "58" | "28" | "3D" => Self::Unreachable,
                "53" => Self::Resources,
                "25" | "55" => Self::Transient,
                _ => Self::Refused,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table_has_its_class() {
        for (code, class) in [
            ("08006", FailureClass::Unreachable),
            ("57P03", FailureClass::Unreachable),
            ("58030", FailureClass::Unreachable),
            ("40P01", FailureClass::Transient),
            ("57014", FailureClass::Transient),
            ("53100", FailureClass::Resources),
            ("53300", FailureClass::Unreachable),
            ("25P03", FailureClass::Unreachable),
            ("25P02", FailureClass::Transient),
            ("42703", FailureClass::SchemaDrift),
            ("42601", FailureClass::Refused),
            ("23503", FailureClass::ForeignKey),
            ("23505", FailureClass::Conflict),
            ("23514", FailureClass::Refused),
            ("P0001", FailureClass::Refused),
            ("0A000", FailureClass::Refused),
        ] {
            assert_eq!(FailureClass::of(Some(code)), class, "{code}");
        }
        assert_eq!(FailureClass::of(None), FailureClass::Unreachable);
    }
}
