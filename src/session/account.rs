//! The names of the operating system's accounts, for the method `peer`.

/// Where they are listed.
const ACCOUNTS: &str = "/etc/passwd";

/// Returns the name of the account with this user id; `None` if it is not listed.
pub(super) fn of(uid: u32) -> Option<String> {
    find(&std::fs::read_to_string(ACCOUNTS).ok()?, uid)
}

fn find(accounts: &str, uid: u32) -> Option<String> {
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    });
    named.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nbroken\n";
        assert_eq!(find(accounts, 1000).as_deref(), Some("app"));
        assert_eq!(find(accounts, 0).as_deref(), Some("root"));
        assert_eq!(find(accounts, 7), None);
    }
}
