use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use mcp_jupyter_core::assets::reading::LineRange;
use mcp_jupyter_core::model::Digest;

use super::mcp_jupyter::EXIT_CODES;
use super::services::{AssetServiceArgs, ConnectionArgs};
use super::values::{byte_range, duration, pixels, size};

/// Look after the large outputs that `run --assets` has taken out of notebooks
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct AssetsArgs {
    #[command(subcommand)]
    pub(crate) command: AssetsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AssetsCommand {
    List(StoreArgs),
    Show(AssetArgs),
    Cat(CatArgs),
    Search(SearchArgs),
    Export(ExportArgs),
    Inline(InlineArgs),
    Offload(OffloadArgs),
    Verify(VerifyArgs),
    Prune(PruneArgs),
    Usage(StoreArgs),
    Url(UrlArgs),
    Serve(AssetServiceArgs),
}

/// Sign a URL that opens one asset of a service to whoever has it, for a while
#[derive(Debug, Args)]
pub(crate) struct UrlArgs {
    /// The asset
    pub(crate) digest: Digest,

    /// Where the service gives out assets over HTTP, or what stands in front of it
    #[arg(long, value_name = "URL")]
    pub(crate) base: String,

    /// The file with the secret that the service has as `--url-key-file`
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_ASSETS_URL_KEY_FILE")]
    pub(crate) url_key_file: PathBuf,

    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(crate) expires: Duration,

    /// The namespace that has the asset
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) namespace: String,
}

/// List all assets, with what refers to them
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The store: a folder, `file://`, `s3://`, `gs://`, `az://`, or an asset service, `grpc://`, `grpcs://` or
    /// `grpc+unix://`
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_ASSETS")]
    pub(crate) store: String,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Say what is known of an asset
#[derive(Debug, Args)]
pub(crate) struct AssetArgs {
    /// The asset: `sha256:` and 64 digits
    pub(crate) digest: Digest,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Write the bytes of an asset to standard output
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The asset: `sha256:` and 64 digits
    pub(crate) digest: Digest,

    /// Only these bytes, counted from 0, the last one excluded: `0-1000`, `1000-`, or the last so many: `-1000`
    #[arg(long, value_name = "FROM-TO", value_parser = byte_range, allow_hyphen_values = true)]
    pub(crate) bytes: Option<ByteRange>,

    /// Only these lines, counted from 1, both ends included: `10-20`, `10-`, or from the end: `-5`, `-20--10`
    #[arg(long, value_name = "FROM-TO", allow_hyphen_values = true, conflicts_with = "bytes")]
    pub(crate) lines: Option<LineRange>,

    /// Only the value in a JSON document that this JSON pointer names, such as `/a/0/b`
    #[arg(long, value_name = "POINTER", conflicts_with_all = ["bytes", "lines"])]
    pub(crate) pointer: Option<String>,

    /// An image, as a PNG or JPEG that is no larger than this, in pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = pixels, conflicts_with_all = ["bytes", "lines", "pointer"])]
    pub(crate) fit: Option<(u32, u32)>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Print the lines of a text in which a pattern is found
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The asset: `sha256:` and 64 digits
    pub(crate) digest: Digest,

    /// The text to look for
    pub(crate) pattern: String,

    /// The pattern is a regular expression, matched line by line
    #[arg(short = 'E', long)]
    pub(crate) regex: bool,

    /// Upper and lower case are the same
    #[arg(short, long)]
    pub(crate) ignore_case: bool,

    /// So many lines before and after each
    #[arg(short = 'C', long, default_value_t = 0)]
    pub(crate) context: usize,

    /// No more than so many
    #[arg(short, long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_count: u64,

    /// Begin at this line, counted from 1
    #[arg(long, value_name = "LINE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from_line: u64,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// A range of bytes as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    From(u64, Option<u64>),
    Last(u64),
}

/// Write the bytes of an asset into a file, which is there as a whole or not at all
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The asset: `sha256:` and 64 digits
    pub(crate) digest: Digest,

    /// The file; it must not exist
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Put the outputs back into a notebook that were taken out of it
#[derive(Debug, Args)]
pub(crate) struct InlineArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    /// The file to write, `-` for standard output [default: the notebook itself]
    #[arg(short, long, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Take the large outputs out of a notebook that has been run
#[derive(Debug, Args)]
pub(crate) struct OffloadArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    /// The file to write, `-` for standard output [default: the notebook itself]
    #[arg(short, long, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,

    /// From which size on outputs are taken out, such as `100k` or `2M`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) asset_threshold: Option<u64>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Read assets and compare their bytes with their digests
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The assets [default: all]
    pub(crate) digests: Vec<Digest>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Delete the assets that nothing needs: no notebook, page or text under the roots, no registered reference, no pin
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Folders whose notebooks, pages and texts are looked through
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    pub(crate) roots: Vec<PathBuf>,

    /// How long an asset has to have been without need: the first time it is marked, a later time deleted
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace)]
    pub(crate) grace: Duration,

    /// Delete the oldest only, until no more than this is left
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) quota: Option<u64>,

    /// Change nothing: say what would go, and why
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// A time that may be none at all.
fn grace(text: &str) -> Result<Duration, String> {
    if text == "0" {
        Ok(Duration::ZERO)
    } else {
        duration(text)
    }
}
