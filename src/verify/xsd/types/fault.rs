//! Why a value is refused, in words that never repeat the value.

use std::fmt;
use std::sync::Arc;

use super::builtin::Builtin;

/// Why a text is no value of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueFault(pub(super) Fault);

/// What lengths count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Characters,
    Octets,
    Items,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Lexical(Builtin),
    Length(u64, Unit),
    MinLength(u64, Unit),
    MaxLength(u64, Unit),
    Pattern(Arc<str>),
    Enumeration(usize),
    /// What it has to be, such as "at least", and the bound.
    Bound(&'static str, Arc<str>),
    TotalDigits(u64),
    FractionDigits(u64),
    /// The number of the item, from 1, and what is wrong with it.
    Item(usize, Box<Fault>),
    NoMember(usize),
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

impl std::error::Error for ValueFault {}

fn write(fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::Lexical(builtin) => write!(f, "{} is expected", builtin.words()),
        Fault::Length(length, unit) => write!(f, "exactly {} expected", counted(*length, *unit, "is", "are")),
        Fault::MinLength(length, unit) => {
            write!(f, "at least {} needed", counted(*length, *unit, "is", "are"))
        }
        Fault::MaxLength(length, unit) => {
            write!(f, "at most {} allowed", counted(*length, *unit, "is", "are"))
        }
        Fault::Pattern(shown) => write!(f, "it does not match the pattern {shown}"),
        Fault::Enumeration(1) => write!(f, "it is not the one allowed value"),
        Fault::Enumeration(count) => write!(f, "it is none of the {count} allowed values"),
        Fault::Bound(words, bound) => write!(f, "it must be {words} {bound}"),
        Fault::TotalDigits(digits) => write!(f, "at most {digits} digits are allowed"),
        Fault::FractionDigits(0) => write!(f, "no digit is allowed behind the point"),
        Fault::FractionDigits(digits) => write!(f, "at most {digits} digits are allowed behind the point"),
        Fault::Item(number, fault) => {
            write!(f, "item {number} of the list: ")?;
            write(fault, f)
        }
        Fault::NoMember(count) => write!(f, "it fits none of the {count} types that are allowed here"),
    }
}

fn counted(count: u64, unit: Unit, one: &str, many: &str) -> String {
    let name = match unit {
        Unit::Characters => "character",
        Unit::Octets => "octet",
        Unit::Items => "item",
    };
    match count {
        1 => format!("1 {name} {one}"),
        _ => format!("{count} {name}s {many}"),
    }
}
