//! The command line as typed. Names here are the contract: scripts depend on them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use shardloom::dev::ServerOption;

/// A PostgreSQL sharding proxy.
#[derive(Debug, Parser)]
#[command(name = "shardloom", disable_version_flag = true, arg_required_else_help = true)]
#[command(after_help = "Example: shardloom dev --data ./data")]
pub struct Arguments {
    /// Prints version, commit, features and transports.
    #[arg(long, short = 'V')]
    pub version: bool,
    /// Prints JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the proxy.
    #[command(after_help = "Example: shardloom serve --config shardloom.yaml")]
    Serve(ServeArguments),
    /// Runs local PostgreSQL servers and the proxy.
    #[command(after_help = "Example: shardloom dev --shards 3 --data ./data")]
    Dev(DevArguments),
    /// Checks the rules, their golden tests and, with --live, the shards.
    #[command(after_help = "Example: shardloom check --rules shard-rules --shards 3")]
    Check(CheckArguments),
    /// Says where a statement would go, without any database.
    #[command(
        after_help = "Example: shardloom route --shards 3 'select * from orders where customer_id = $1' --param 42"
    )]
    Route(RouteArguments),
    /// Shows and mends the write ledger.
    #[command(after_help = "Example: shardloom ledger ls --state open --json")]
    Ledger {
        /// Which proxy.
        #[command(flatten)]
        target: AdminTarget,
        /// What to do.
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Lists what could not be replayed.
    #[command(after_help = "Example: shardloom dead-letters --admin-port 6433")]
    DeadLetters(AdminTarget),
    /// Lists the lanes home to target with their backlog.
    #[command(after_help = "Example: shardloom lanes --json")]
    Lanes(AdminTarget),
    /// Lets the replay to a shard stand still, and go on.
    #[command(after_help = "Example: shardloom targets pause s1 --reason 'its disk is changed'")]
    Targets {
        /// Which proxy.
        #[command(flatten)]
        target: AdminTarget,
        /// What to do.
        #[command(subcommand)]
        command: TargetsCommand,
    },
    /// Lists statements that run shard by shard, and how far each shard is.
    #[command(after_help = "Example: shardloom ddl --json")]
    Ddl(AdminTarget),
    /// Lists which way statements took, by their text without constants.
    #[command(after_help = "Example: shardloom routes --json")]
    Routes(AdminTarget),
    /// Shows shards, pools, lanes, backlog and what to do next on one page.
    #[command(after_help = "Example: shardloom status --json")]
    Status(AdminTarget),
    /// Makes and reads generated ids.
    #[command(subcommand, after_help = "Example: shardloom id next order")]
    Id(IdCommand),
}

/// `serve`
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The configuration file.
    #[arg(long, default_value = "shardloom.yaml")]
    pub config: PathBuf,
    /// Takes the sockets of the proxy that serves the address already, which then lets its clients leave and ends.
    #[arg(long)]
    pub takeover: bool,
}

/// `dev`
#[derive(Debug, Clone, Args)]
pub struct DevArguments {
    /// How many PostgreSQL servers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: u16,
    /// The port for clients.
    #[arg(long, default_value_t = 6432)]
    pub port: u16,
    /// The port for HTTP.
    #[arg(long, default_value_t = 6433)]
    pub admin_port: u16,
    /// Where data stays between runs; without it a scratch folder that is removed at the end.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The database's name.
    #[arg(long, default_value = "shop")]
    pub database: String,
    /// The rules; without them the example shop's.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// SQL that runs through the proxy, only into fresh data.
    #[arg(long)]
    pub schema: Option<PathBuf>,
    /// SQL that runs through the proxy after the schema.
    #[arg(long)]
    pub load: Option<PathBuf>,
    /// A setting for the PostgreSQL servers.
    #[arg(long = "pg-option", value_name = "NAME=VALUE")]
    pub pg_options: Vec<ServerOption>,
    /// Serves other databases of home unsharded: `any` or names.
    #[arg(long, value_name = "any|NAME,…", value_delimiter = ',')]
    pub passthrough: Vec<String>,
    /// How long server connections are lent: for a `transaction`, a `session` or a `statement`.
    #[arg(long, default_value = "transaction", value_parser = ["transaction", "session", "statement"])]
    pub pool_mode: String,
}

/// `check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The rules; without them those of --config with --live, else shard-rules.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// Takes a Topology of so many shards, as `dev` makes one, in place of the files' own.
    #[arg(long, conflicts_with = "live", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: Option<u16>,
    /// Compares with the shards, as the service user of --config.
    #[arg(long)]
    pub live: bool,
    /// Reads every row of the sharded tables, too: is it on the shard of its sharding key?
    #[arg(long, requires = "live")]
    pub rows: bool,
    /// The configuration file that --live reads.
    #[arg(long, default_value = "shardloom.yaml")]
    pub config: PathBuf,
}

/// `route`
#[derive(Debug, Args)]
pub struct RouteArguments {
    /// The rules.
    #[arg(long, default_value = "shard-rules")]
    pub rules: PathBuf,
    /// Takes a Topology of so many shards, as `dev` makes one, in place of the files' own.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: Option<u16>,
    /// The statement.
    pub sql: String,
    /// A parameter, `$1` first; `NULL` in capitals is NULL.
    #[arg(long = "param", allow_hyphen_values = true)]
    pub params: Vec<String>,
}

/// Which running proxy to talk to.
#[derive(Debug, Clone, Args)]
pub struct AdminTarget {
    /// The HTTP port on this machine.
    #[arg(long, default_value_t = 6433, global = true)]
    pub admin_port: u16,
    /// The whole address instead, `http://host:port`.
    #[arg(long, global = true, value_name = "URL")]
    pub admin: Option<String>,
    /// The token, where the proxy asks for one; else SHARDLOOM_ADMIN_TOKEN.
    #[arg(long, global = true)]
    pub token: Option<String>,
}

/// `ledger …`
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Lists transactions, newest first.
    #[command(after_help = "Example: shardloom ledger ls --state attention")]
    Ls {
        /// Only those in this state: open, attention, done, aborted.
        #[arg(long)]
        state: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Shows one transaction with its targets.
    #[command(after_help = "Example: shardloom ledger show 117429795511367883")]
    Show {
        /// The transaction's id.
        txid: i64,
    },
    /// Replays a transaction's dead or parked targets again.
    #[command(after_help = "Example: shardloom ledger retry 117429795511367883 --reason 'the column is there now'")]
    Retry(LedgerChange),
    /// Gives a transaction's target up.
    #[command(after_help = "Example: shardloom ledger skip 117429795511367883 --target s1 --reason 'mended by hand'")]
    Skip(LedgerChange),
    /// Takes a transaction back on all shards, by the undo statements of its tables.
    #[command(
        after_help = "Example: shardloom ledger compensate 117429795511367883 --reason 'the order was refused on s1'"
    )]
    Compensate {
        /// The transaction's id.
        txid: i64,
        /// Why; it is written to the audit table.
        #[arg(long)]
        reason: String,
    },
    /// Lists what was taken back, or could not be yet, the newest first.
    #[command(after_help = "Example: shardloom ledger compensations")]
    Compensations,
    /// Compares the copies of a reference table with home, exactly, while it is written; exits with 1 if they differ.
    #[command(after_help = "Example: shardloom ledger verify regions --json")]
    Verify(VerifyArguments),
    /// Copies a reference table from home again, while it is written.
    #[command(after_help = "Example: shardloom ledger resync regions --target s1 --reason 'restored from a backup'")]
    Resync(ResyncArguments),
    /// Lists what operators changed and why, the newest first.
    #[command(after_help = "Example: shardloom ledger audit --json")]
    Audit {
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Lists transactions whose outcome is still to be found out.
    #[command(after_help = "Example: shardloom ledger in-doubt")]
    InDoubt,
}

/// `targets …`
#[derive(Debug, Subcommand)]
pub enum TargetsCommand {
    /// Lists the lanes that stand still, since when and why.
    #[command(after_help = "Example: shardloom targets ls --json")]
    Ls,
    /// Lets nothing more be replayed to a shard: changes wait on their homes, in order.
    #[command(after_help = "Example: shardloom targets pause s1 --reason 'its disk is changed'")]
    Pause(TargetChange),
    /// Lets the replay to a shard go on.
    #[command(after_help = "Example: shardloom targets resume s1 --reason 'the new disk is in'")]
    Resume(TargetChange),
}

/// A shard, and why.
#[derive(Debug, Args)]
pub struct TargetChange {
    /// The shard.
    pub shard: String,
    /// Why; it is written to the audit table.
    #[arg(long)]
    pub reason: String,
}

/// `ledger verify`
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The reference table.
    pub table: String,
    /// Copies what differs from home again.
    #[arg(long, requires = "reason")]
    pub repair: bool,
    /// Why; it is written to the audit table.
    #[arg(long)]
    pub reason: Option<String>,
}

/// `ledger resync`
#[derive(Debug, Args)]
pub struct ResyncArguments {
    /// The reference table.
    pub table: String,
    /// Only this copy.
    #[arg(long)]
    pub target: Option<String>,
    /// Why; it is written to the audit table.
    #[arg(long)]
    pub reason: String,
}

/// A change of the ledger, with its reason for the audit.
#[derive(Debug, Args)]
pub struct LedgerChange {
    /// The transaction's id.
    pub txid: i64,
    /// Only this target shard.
    #[arg(long)]
    pub target: Option<String>,
    /// Why; it is written to the audit table.
    #[arg(long)]
    pub reason: String,
}

/// `id …`
#[derive(Debug, Subcommand)]
pub enum IdCommand {
    /// Asks a running proxy for ids.
    #[command(after_help = "Example: shardloom id next order -n 10")]
    Next {
        /// The business tag.
        tag: String,
        /// How many.
        #[arg(short, long, default_value_t = 1)]
        n: u32,
        /// As the id column of this table has them.
        #[arg(long)]
        table: Option<String>,
        /// The sharding key of their rows, for a layout with a bucket.
        #[arg(long, requires = "table")]
        key: Option<String>,
        /// Which proxy.
        #[command(flatten)]
        target: AdminTarget,
    },
    /// Takes an id apart, offline.
    #[command(after_help = "Example: shardloom id decode 117429785893894159")]
    Decode {
        /// The id.
        id: i64,
        /// The rules with the layouts and the tags' names; without them the layouts that need no declaration.
        #[arg(long)]
        rules: Option<PathBuf>,
        /// The layout that made it, or with the rules a table that it is of; an id does not say so itself.
        #[arg(long, default_value = "standard")]
        layout: String,
    },
    /// Measures the generator, offline.
    #[command(after_help = "Example: shardloom id bench --json")]
    Bench {
        /// For so many seconds per measurement.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
        seconds: u64,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn definitions_are_consistent_and_every_command_has_an_example() {
        let command = Arguments::command();
        command.clone().debug_assert();
        let mut waiting: Vec<_> = command.get_subcommands().collect();
        while let Some(subcommand) = waiting.pop() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example: shardloom "), "{}", subcommand.get_name());
            waiting.extend(subcommand.get_subcommands());
        }
    }

    #[test]
    fn dev_has_the_contracts_defaults() {
        let Some(Command::Dev(dev)) = parse("shardloom dev").unwrap().command else { panic!("dev") };
        assert_eq!((dev.shards, dev.port, dev.admin_port, dev.database.as_str()), (3, 6432, 6433, "shop"));
        assert!(dev.data.is_none() && dev.rules.is_none() && dev.schema.is_none() && dev.load.is_none());
    }

    #[test]
    fn dev_reads_options_for_the_servers_and_a_list_of_databases() {
        let line = "shardloom dev --pg-option fsync=off --pg-option search_path=a=b --passthrough x,y";
        let Some(Command::Dev(dev)) = parse(line).unwrap().command else { panic!("dev") };
        let options: Vec<_> = dev.pg_options.iter().map(|option| (option.name(), option.value())).collect();
        assert_eq!(options, [("fsync", "off"), ("search_path", "a=b")]);
        assert_eq!(dev.passthrough, ["x", "y"]);
        assert!(parse("shardloom dev --pg-option fsync").is_err());
        assert!(parse("shardloom dev --shards 0").is_err());
    }

    #[test]
    fn json_and_the_proxys_address_may_stand_after_the_subcommand() {
        let arguments = parse("shardloom ledger ls --state open --json --admin-port 7000").unwrap();
        assert!(arguments.json);
        let Some(Command::Ledger { target, command }) = arguments.command else { panic!("ledger") };
        assert_eq!(target.admin_port, 7000);
        assert!(matches!(command, LedgerCommand::Ls { state: Some(state), limit: 100 } if state == "open"));
    }

    #[test]
    fn a_change_of_the_ledger_needs_its_reason_and_wrong_use_exits_with_2() {
        assert!(parse("shardloom ledger retry 7 --reason mended").is_ok());
        let error = parse("shardloom ledger retry 7").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(parse("shardloom nonsense").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn negative_parameters_are_values() {
        let Some(Command::Route(route)) = parse("shardloom route select --param -5").unwrap().command else {
            panic!("route")
        };
        assert_eq!(route.params, ["-5"]);
    }
}
