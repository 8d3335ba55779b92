//! The proxy's options in `dev`: a configuration made from the arguments, and the example's rules where none are given.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use shardloom::config::{Config, Passthrough};
use shardloom::dev::{APP_PASSWORD, APP_USER, DevCluster, SERVICE_USER, SHOP_DATABASE};
use shardloom::rules::{Shard, Topology};
use shardloom::server::{Options, RuleSource};

use super::arguments::DevArguments;
use super::failure::Failure;

/// How long transactions may take to finish: `dev` stops everything within 10 s, its servers included.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The example's rules, written where an operator can change them.
const EXAMPLE_RULES: [(&str, &str); 2] = [
    ("ids.yaml", include_str!("../../shard-rules/ids.yaml")),
    ("shop.yaml", include_str!("../../shard-rules/shop.yaml")),
];

/// Refuses what cannot work before any server is started.
pub fn check(arguments: &DevArguments) -> Result<(), Failure> {
    for path in [&arguments.rules, &arguments.schema, &arguments.load].into_iter().flatten() {
        if !path.exists() {
            return Err(Failure::Usage(format!("{} does not exist", path.display())));
        }
    }
    if arguments.database == "shardloom" {
        return Err(Failure::Usage("the database cannot be named shardloom: that is the console".to_owned()));
    }
    Ok(())
}

/// Makes the options of the proxy over these servers.
pub fn options(arguments: &DevArguments, cluster: &DevCluster) -> Result<Options, Failure> {
    let directory = match &arguments.rules {
        Some(directory) => directory.clone(),
        None => example_rules(cluster.folder())?,
    };
    let mut config = config(arguments, cluster.service_password())?;
    config.rules.clone_from(&directory);
    let shards = cluster.shards().iter().map(|shard| Shard {
        name: shard.name().to_owned(),
        host: "127.0.0.1".to_owned(),
        port: shard.port(),
        database: arguments.database.clone(),
    });
    let topology = Topology::even(&arguments.database, shards.collect());
    let rules = RuleSource { directory, topology: Some(topology) };
    Ok(Options { config, rules, path: None, takeover: false, name_suffix: String::new() })
}

/// Whether the example shop is wanted: neither rules nor a schema are given, and the database has its name.
pub fn is_example(arguments: &DevArguments) -> bool {
    arguments.rules.is_none() && arguments.schema.is_none() && arguments.database == SHOP_DATABASE
}

fn config(arguments: &DevArguments, service_password: &str) -> Result<Config, Failure> {
    // JSON is YAML, and quotes every text.
    let text = json!({
        "listen": {"address": format!("127.0.0.1:{}", arguments.port)},
        "admin": {"address": format!("127.0.0.1:{}", arguments.admin_port)},
        "users": [{"name": APP_USER, "password": APP_PASSWORD, "console": true}],
        "service": {"user": SERVICE_USER, "password": service_password},
        "pool": {"mode": arguments.pool_mode},
    });
    let mut config = Config::parse("dev", &text.to_string(), &|_| None).map_err(Failure::refused)?;
    config.limits.drain_timeout = DRAIN_TIMEOUT;
    config.passthrough = passthrough(&arguments.passthrough);
    Ok(config)
}

fn passthrough(names: &[String]) -> Passthrough {
    match names {
        [] => Passthrough::None,
        [any] if any == "any" => Passthrough::Any,
        names => Passthrough::Only(names.to_vec()),
    }
}

/// Writes the example's rules beside the data unless they are there: an operator's changes are kept.
fn example_rules(folder: &Path) -> Result<PathBuf, Failure> {
    let directory = folder.join("shard-rules");
    let write = || {
        fs::create_dir_all(&directory)?;
        for (name, text) in EXAMPLE_RULES {
            let path = directory.join(name);
            if !path.exists() {
                fs::write(path, text)?;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    write().map_err(|error| Failure::Problem(format!("cannot write {}: {error}", directory.display())))?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use shardloom::config::PoolMode;

    use super::*;
    use crate::cli::arguments::{Arguments, Command};

    fn dev(line: &str) -> DevArguments {
        match Arguments::try_parse_from(line.split(' ')).unwrap().command {
            Some(Command::Dev(dev)) => dev,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn any_is_all_databases_and_names_are_names() {
        assert_eq!(passthrough(&[]), Passthrough::None);
        assert_eq!(passthrough(&["any".into()]), Passthrough::Any);
        assert_eq!(passthrough(&["any".into(), "x".into()]), Passthrough::Only(vec!["any".into(), "x".into()]));
    }

    #[test]
    fn the_application_may_use_the_console_and_a_password_with_quotes_survives() {
        let config = config(&dev("shardloom dev --port 7001"), "a\"b: {c}\\").unwrap();
        assert_eq!(config.listen.address.port(), 7001);
        assert!(config.users[0].console);
        assert_eq!(config.service.password.unwrap().expose(), "a\"b: {c}\\");
        assert!(config.limits.drain_timeout <= Duration::from_secs(3));
    }

    #[test]
    fn the_pool_mode_is_one_that_the_configuration_knows() {
        for (line, mode) in [
            ("shardloom dev", PoolMode::Transaction),
            ("shardloom dev --pool-mode session", PoolMode::Session),
            ("shardloom dev --pool-mode statement", PoolMode::Statement),
        ] {
            assert_eq!(config(&dev(line), "secret").unwrap().mode_of("app", "shop"), mode, "{line}");
        }
        assert!(Arguments::try_parse_from("shardloom dev --pool-mode none".split(' ')).is_err());
    }

    #[test]
    fn the_example_is_for_those_who_bring_nothing() {
        assert!(is_example(&dev("shardloom dev")));
        assert!(!is_example(&dev("shardloom dev --rules x")));
        assert!(!is_example(&dev("shardloom dev --schema x")));
        assert!(!is_example(&dev("shardloom dev --database other")));
    }

    #[test]
    fn missing_files_and_the_consoles_name_are_wrong_use() {
        assert!(matches!(check(&dev("shardloom dev --load /no/such/file")), Err(Failure::Usage(_))));
        assert!(matches!(check(&dev("shardloom dev --database shardloom")), Err(Failure::Usage(_))));
        assert_eq!(check(&dev("shardloom dev")), Ok(()));
    }
}
