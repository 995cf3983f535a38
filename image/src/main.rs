//! Puts the operator's static binary into a container image, the same bytes each time.
//!
//! `image files` lays out what is in the image: the binary, the root certificates and a list of all that is linked into the
//! binary. `image archive` makes an OCI archive of such a folder. Neither needs a container engine or a registry, and neither
//! asks for the time: the same inputs give the same digest.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod archive;
mod digest;
mod failure;
mod files;
mod layer;
mod roots;
mod sbom;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

use failure::Result;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lay out the files of the operator's image.
    Files(FilesArguments),
    /// Make an OCI archive of a folder, and print its digest and size.
    Archive(ArchiveArguments),
}

/// What the operator's image is made of.
#[derive(Debug, Args)]
struct FilesArguments {
    /// The static binary.
    #[arg(long)]
    binary: PathBuf,
    /// The target that the binary was built for, such as x86_64-unknown-linux-musl.
    #[arg(long)]
    target: String,
    /// The time of the source, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_parser = seconds)]
    created: Timestamp,
    /// Where the files go, in the place of what was laid out there before; a folder with anything else in it is refused.
    #[arg(long)]
    root: PathBuf,
}

/// What an image is to be.
#[derive(Debug, Args)]
struct ArchiveArguments {
    /// The folder that becomes the image's only layer.
    #[arg(long)]
    root: PathBuf,
    /// Where the archive goes.
    #[arg(long)]
    out: PathBuf,
    /// The image's name and tag.
    #[arg(long, default_value = concat!("external-cloud-secrets:", env!("CARGO_PKG_VERSION")))]
    name: String,
    /// The architecture as OCI names it, such as amd64.
    #[arg(long)]
    architecture: String,
    /// The program that is run.
    #[arg(long, default_value = "/external-cloud-secrets")]
    entrypoint: String,
    /// The time of the source, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_parser = seconds)]
    created: Timestamp,
    /// A label, as KEY=VALUE.
    #[arg(long = "label", value_parser = label)]
    labels: Vec<(String, String)>,
    /// The most bytes that the image may have, unpacked.
    #[arg(long)]
    most_bytes: Option<u64>,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Files(arguments) => files::lay_out(&arguments),
        Command::Archive(arguments) => archive(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("image: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn archive(arguments: &ArchiveArguments) -> Result<()> {
    let written = archive::write(arguments)?;
    println!(
        "{}\n{}, {:.2} MB unpacked, {:.2} MB to pull\n{}",
        arguments.out.display(),
        arguments.name,
        megabytes(written.unpacked),
        megabytes(written.packed),
        written.digest
    );
    Ok(())
}

fn seconds(text: &str) -> std::result::Result<Timestamp, String> {
    let seconds = text.parse().map_err(|_| "a number of seconds is needed")?;
    Timestamp::from_second(seconds).map_err(|error| error.to_string())
}

fn label(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
