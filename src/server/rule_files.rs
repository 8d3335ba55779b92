//! Reading the rules directory: every `*.yaml` and `*.yml` in it, in order of their names, nothing below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::rules::{RuleFile, Topology};
use crate::types::Diagnostic;

/// The most that one rule file may hold; rules are written by people.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The most files of one directory, against a path given by mistake.
const FILES_MAX: usize = 1024;

/// Where rules come from.
#[derive(Debug, Clone)]
pub struct RuleSource {
    /// The directory.
    pub directory: PathBuf,
    /// Shards that the program made, in place of the files' own Topology (`dev`).
    pub topology: Option<Topology>,
}

impl RuleSource {
    /// Makes the source that is a directory alone.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), topology: None }
    }

    /// Reads the files; fails with the path and the reason.
    pub fn read(&self) -> Result<Vec<RuleFile>, Diagnostic> {
        read_directory(&self.directory)
    }
}

fn read_directory(directory: &Path) -> Result<Vec<RuleFile>, Diagnostic> {
    let unreadable = |path: &Path, cause: io::Error| finding(path, format!("cannot be read: {cause}"));
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(|cause| unreadable(directory, cause))? {
        let path = entry.map_err(|cause| unreadable(directory, cause))?.path();
        if is_rule_file(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(finding(directory, "no *.yaml file in this directory"));
    }
    if paths.len() > FILES_MAX {
        return Err(finding(directory, format!("more than {FILES_MAX} rule files")));
    }
    paths.sort();
    paths.iter().map(|path| read_file(path).map_err(|cause| unreadable(path, cause))).collect()
}

fn finding(path: &Path, message: impl Into<String>) -> Diagnostic {
    Diagnostic { file: path.display().to_string(), line: 1, column: 1, message: message.into(), suggestion: None }
}

fn read_file(path: &Path) -> io::Result<RuleFile> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(RuleFile { path: path.display().to_string(), text: fs::read_to_string(path)? })
}

/// Editors' backup and swap files begin with a dot or end otherwise.
fn is_rule_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    !hidden && yaml && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_order_of_their_names_and_others_are_left() {
        let directory = std::env::temp_dir().join(format!("shardloom-rule-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for name in ["b.yaml", "a.yml", ".hidden.yaml", "notes.txt"] {
            fs::write(directory.join(name), name).unwrap();
        }
        let files = RuleSource::directory(&directory).read().unwrap();
        let texts: Vec<_> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(texts, ["a.yml", "b.yaml"]);
        fs::remove_dir_all(&directory).unwrap();
        let error = RuleSource::directory(&directory).read().unwrap_err();
        assert!(error.to_string().contains(":1:1: cannot be read"), "{error}");
    }
}
