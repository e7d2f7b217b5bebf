//! Values (XSD 1.0 part 2, section 2.2): equal when their types' value spaces say so.

use std::cmp::Ordering;

use super::binary;
use super::builtin::{Builtin, Lexis, Primitive};
use super::calendar::{self, Moment};
use super::decimal::Decimal;
use super::duration::Duration;
use super::{Scope, uri};
use crate::verify::names;

/// A value. Values of different primitive types are never equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Value(pub(super) Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Text(Primitive, Box<str>),
    Boolean(bool),
    Decimal(Decimal<Box<str>>),
    /// As bits: one zero, one NaN.
    Float(u32),
    Double(u64),
    Duration(Duration<Box<str>>),
    Moment(Moment<Box<str>>),
    Octets(Primitive, Box<[u8]>),
    Name(Primitive, Option<Box<str>>, Box<str>),
    List(Vec<Value>),
}

/// A value that still borrows its text: checks need no memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read<'v> {
    Text(Primitive, &'v str),
    Boolean(bool),
    Decimal(Decimal<&'v str>),
    Float(f32),
    Double(f64),
    Duration(Duration<&'v str>),
    Moment(Moment<&'v str>),
    /// The text, and how many octets it stands for.
    Octets(Primitive, &'v str, usize),
    /// Namespace and local name.
    Name(Primitive, Option<&'v str>, &'v str),
}

/// Reads a normalised text as a value of an atomic built-in type, its bounds aside; `None` if it is none.
#[inline]
pub(super) fn read<'v>(builtin: Builtin, text: &'v str, scope: &'v dyn Scope) -> Option<Read<'v>> {
    let primitive = builtin.primitive();
    if primitive == Primitive::String && builtin.lexis() == Lexis::Free {
        return Some(Read::Text(primitive, text));
    }
    read_other(builtin, primitive, text, scope)
}

fn read_other<'v>(
    builtin: Builtin,
    primitive: Primitive,
    text: &'v str,
    scope: &'v dyn Scope,
) -> Option<Read<'v>> {
    Some(match primitive {
        Primitive::Any => Read::Text(primitive, text),
        Primitive::String => has_lexis(builtin.lexis(), text).then_some(Read::Text(primitive, text))?,
        Primitive::Boolean => match text {
            "true" | "1" => Read::Boolean(true),
            "false" | "0" => Read::Boolean(false),
            _ => return None,
        },
        Primitive::Decimal => Read::Decimal(Decimal::read(text, builtin.lexis() == Lexis::Integer)?),
        Primitive::Float => Read::Float(float(text)?),
        Primitive::Double => Read::Double(float(text)?),
        Primitive::Duration => Read::Duration(Duration::read(text)?),
        Primitive::HexBinary => Read::Octets(primitive, text, binary::hex_length(text)?),
        Primitive::Base64Binary => Read::Octets(primitive, text, binary::base64_length(text)?),
        Primitive::AnyUri => uri::is_uri(text).then_some(Read::Text(primitive, text))?,
        Primitive::QName | Primitive::Notation => {
            let name = names::scan(text, 0).filter(|name| name.end == text.len())?;
            let (prefix, local) = match name.colon {
                Some(colon) => (text.get(..colon)?, text.get(colon + 1..)?),
                None => ("", text),
            };
            let namespace = match scope.namespace(prefix) {
                Some(namespace) => Some(namespace).filter(|namespace| !namespace.is_empty()),
                None if prefix.is_empty() => None,
                None if prefix == "xml" => Some("http://www.w3.org/XML/1998/namespace"),
                None => return None,
            };
            Read::Name(primitive, namespace, local)
        }
        moment => Read::Moment(calendar::read(moment, text)?),
    })
}

fn has_lexis(lexis: Lexis, text: &str) -> bool {
    match lexis {
        Lexis::Free | Lexis::Integer => true,
        Lexis::NcName => {
            names::scan(text, 0).is_some_and(|name| name.end == text.len() && name.colon.is_none())
        }
        // A colon may stand anywhere in the other two, so each is a name in which every colon is a letter.
        Lexis::Name => {
            let first = text.strip_prefix(':').map_or_else(|| text.chars().next(), |_| Some('_'));
            let starts = first.is_some_and(|first| names::is_ncname(first.encode_utf8(&mut [0; 4])));
            starts && has_lexis(Lexis::NmToken, text)
        }
        Lexis::NmToken => !text.is_empty() && text.chars().all(is_name_char),
        Lexis::Language => {
            let mut parts = text.split('-');
            let fits = |part: &str, takes: fn(&u8) -> bool| {
                (1..=8).contains(&part.len()) && part.as_bytes().iter().all(takes)
            };
            parts.next().is_some_and(|first| fits(first, u8::is_ascii_alphabetic))
                && parts.all(|part| fits(part, u8::is_ascii_alphanumeric))
        }
    }
}

/// XML 1.0, production 4a.
fn is_name_char(c: char) -> bool {
    if c.is_ascii() {
        return names::class(c as u8) & names::NAME != 0 || c == ':';
    }
    let mut name = [b'_', 0, 0, 0, 0];
    let length = name.get_mut(1..).map_or(0, |rest| c.encode_utf8(rest).len());
    name.get(..=length).and_then(|name| std::str::from_utf8(name).ok()).is_some_and(names::is_ncname)
}

/// Section 3.2.4.1: a decimal number with or without an exponent, `INF`, `-INF`, `NaN`. Too large ones are rounded to infinity.
fn float<F: std::str::FromStr>(text: &str) -> Option<F> {
    match text {
        "INF" | "-INF" | "NaN" => return text.parse().ok(),
        _ => {}
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, Some(text.get(at + 1..)?)),
        None => (text, None),
    };
    Decimal::read(mantissa, false)?;
    if let Some(exponent) = exponent {
        Decimal::read(exponent, true)?;
    }
    text.parse().ok()
}

impl<'v> Read<'v> {
    /// The value itself.
    pub(super) fn owned(self) -> Value {
        Value(match self {
            Self::Text(primitive, text) => Form::Text(primitive, text.into()),
            Self::Boolean(value) => Form::Boolean(value),
            Self::Decimal(value) => Form::Decimal(value.owned()),
            // Adding zero turns the negative one into the positive.
            Self::Float(value) => Form::Float(if value.is_nan() { f32::NAN } else { value + 0.0 }.to_bits()),
            Self::Double(value) => {
                Form::Double(if value.is_nan() { f64::NAN } else { value + 0.0 }.to_bits())
            }
            Self::Duration(value) => Form::Duration(value.owned()),
            Self::Moment(value) => Form::Moment(value.owned()),
            Self::Octets(Primitive::HexBinary, text, _) => {
                Form::Octets(Primitive::HexBinary, binary::hex_octets(text))
            }
            Self::Octets(primitive, text, _) => Form::Octets(primitive, binary::base64_octets(text)),
            Self::Name(primitive, namespace, local) => {
                Form::Name(primitive, namespace.map(Into::into), local.into())
            }
        })
    }

    /// How it stands to a value of the same ordered type; `None` where that can't be told.
    #[inline]
    pub(super) fn order(self, other: &Value) -> Option<Ordering> {
        match (self, &other.0) {
            (Self::Decimal(a), Form::Decimal(b)) => Some(a.order(b.view())),
            (Self::Float(a), Form::Float(b)) => floats(a.into(), f32::from_bits(*b).into()),
            (Self::Double(a), Form::Double(b)) => floats(a, f64::from_bits(*b)),
            (Self::Duration(a), Form::Duration(b)) => a.order(b.view()),
            (Self::Moment(a), Form::Moment(b)) => a.order(b.view()),
            _ => None,
        }
    }

    /// Whether it is this value.
    pub(super) fn is(self, other: &Value) -> bool {
        match (self, &other.0) {
            (Self::Text(a, x), Form::Text(b, y)) => a == *b && *x == **y,
            (Self::Boolean(a), Form::Boolean(b)) => a == *b,
            (Self::Duration(a), Form::Duration(b)) => a == b.view(),
            (Self::Name(a, n, x), Form::Name(b, m, y)) => a == *b && *x == **y && n == m.as_deref(),
            (Self::Octets(..), Form::Octets(..)) => self.owned() == *other,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }
}

/// Section 3.2.4: NaN equals itself and can't be compared with anything else.
fn floats(a: f64, b: f64) -> Option<Ordering> {
    if a.is_nan() && b.is_nan() { Some(Ordering::Equal) } else { a.partial_cmp(&b) }
}

/// The order of two values of an ordered type.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    let read = match &a.0 {
        Form::Decimal(a) => Read::Decimal(a.view()),
        Form::Float(a) => Read::Float(f32::from_bits(*a)),
        Form::Double(a) => Read::Double(f64::from_bits(*a)),
        Form::Duration(a) => Read::Duration(a.view()),
        Form::Moment(a) => Read::Moment(a.view()),
        _ => return None,
    };
    read.order(b)
}
