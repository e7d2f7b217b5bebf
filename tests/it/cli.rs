//! The binary as a user calls it.

mod day;
mod demo;
mod pki_sign_verify;

use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary with these arguments.
fn amtsweg<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amtsweg")).args(args).output().expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8 path").to_owned()
}
