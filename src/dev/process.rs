//! Programs that run with a bound on their time.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How often a wait looks again: short beside an initdb (about 1 s), long beside a system call.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Waits until `child` ends, at most until `deadline`; then kills it and returns `None`.
pub(crate) fn wait_until(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// Runs `command` to its end, at most for `bound`; `None` says that it was killed.
pub(crate) fn run_bounded(command: &mut Command, bound: Duration) -> std::io::Result<Option<ExitStatus>> {
    wait_until(&mut command.spawn()?, Instant::now() + bound)
}

/// Returns what `command` printed, trimmed, if it could be run and succeeded.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Tells whether process `pid` runs; a zombie does not.
pub(crate) fn is_running(pid: u32) -> bool {
    if std::path::Path::new("/proc/self/stat").exists() {
        return state(pid).is_some() && !is_zombie(pid);
    }
    output_of(Command::new("kill").args(["-0", &pid.to_string()])).is_some()
}

/// Tells whether process `pid` is dead and waits to be reaped; `false` where there is no `/proc`.
pub(crate) fn is_zombie(pid: u32) -> bool {
    matches!(state(pid), Some('Z' | 'X'))
}

/// Returns the letter in `/proc/PID/stat`. It follows the command's name, which is in parentheses and may itself
/// hold any character.
fn state(pid: u32) -> Option<char> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_over_its_bound_is_killed() {
        let began = Instant::now();
        let status = run_bounded(Command::new("sleep").arg("30"), Duration::from_millis(50)).unwrap();
        assert!(status.is_none());
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_within_its_bound_reports_its_status() {
        assert_eq!(run_bounded(&mut Command::new("false"), Duration::from_secs(10)).unwrap().unwrap().code(), Some(1));
    }

    #[test]
    fn a_zombie_does_not_count_as_running() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        assert!(is_running(child.id()));
        child.kill().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_running(child.id()) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        assert!(!is_running(child.id()));
        child.wait().unwrap();
    }
}
