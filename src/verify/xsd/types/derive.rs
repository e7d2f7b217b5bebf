//! Derivation by restriction: the rules for facets (XSD 1.0 part 2, section 4.3, and part 1, section 3.14.6).

use std::cmp::Ordering;
use std::sync::Arc;

use super::builtin::{Builtin, Primitive, Whitespace};
use super::facets::{Bound, Enumeration, Facet, Facets};
use super::pattern::Pattern;
use super::space::normalised;
use super::value::{Read, order, read};
use super::{FacetSpec, Kind, SimpleType};

type Checked<T = ()> = Result<T, String>;

/// The facets of a type that restricts `base`, and how it treats white space.
pub(super) fn restrict(base: &Arc<SimpleType>, specs: &[FacetSpec<'_>]) -> Checked<(Facets, Whitespace)> {
    if base.base().is_none() {
        return Err("a type can't restrict anySimpleType itself".to_owned());
    }
    let mut step = Step { base, facets: base.facets.clone(), whitespace: base.whitespace, given: 0 };
    for spec in specs {
        step.take(spec)?;
    }
    step.several(specs)?;
    step.lengths()?;
    step.range()?;
    step.digits()?;
    Ok((step.facets, step.whitespace))
}

/// Whether a facet can constrain values of the type (section 4.1.5).
fn applies(base: &SimpleType, facet: Facet) -> bool {
    use Facet::{
        Enumeration, FractionDigits, Length, MaxLength, MinLength, Pattern, TotalDigits, WhiteSpace,
    };
    match &base.kind {
        Kind::Union(_) => return matches!(facet, Pattern | Enumeration),
        Kind::List(_) => {
            return matches!(facet, Length | MinLength | MaxLength | Pattern | Enumeration | WhiteSpace);
        }
        Kind::Atomic => {}
    }
    match facet {
        WhiteSpace | Pattern => true,
        Enumeration => base.builtin.primitive() != Primitive::Boolean,
        Length | MinLength | MaxLength => matches!(
            base.builtin.primitive(),
            Primitive::String
                | Primitive::AnyUri
                | Primitive::HexBinary
                | Primitive::Base64Binary
                | Primitive::QName
                | Primitive::Notation
        ),
        TotalDigits | FractionDigits => base.builtin.primitive() == Primitive::Decimal,
        _ => !matches!(
            base.builtin.primitive(),
            Primitive::String
                | Primitive::Boolean
                | Primitive::AnyUri
                | Primitive::HexBinary
                | Primitive::Base64Binary
                | Primitive::QName
                | Primitive::Notation
        ),
    }
}

/// One restriction on the way.
struct Step<'b> {
    base: &'b Arc<SimpleType>,
    facets: Facets,
    whitespace: Whitespace,
    /// Bits of the facets that this restriction gives.
    given: u16,
}

impl Step<'_> {
    fn gives(&self, facet: Facet) -> bool {
        self.given & facet.bit() != 0
    }

    fn take(&mut self, spec: &FacetSpec<'_>) -> Checked {
        let facet = spec.name;
        let name = facet.name();
        if !applies(self.base, facet) {
            return Err(format!("the facet {name} can't be applied to this type"));
        }
        let many = matches!(facet, Facet::Pattern | Facet::Enumeration);
        if !many && self.gives(facet) {
            return Err(format!("the facet {name} is given twice"));
        }
        self.given |= facet.bit();
        if spec.fixed && !many {
            self.facets.fixed |= facet.bit();
        }
        match facet {
            Facet::Length => self.facets.length = Some(number(spec, 0)?),
            Facet::MinLength => self.facets.min_length = Some(number(spec, 0)?),
            Facet::MaxLength => self.facets.max_length = Some(number(spec, 0)?),
            Facet::TotalDigits => self.facets.total_digits = Some(number(spec, 1)?),
            Facet::FractionDigits => self.facets.fraction_digits = Some(number(spec, 0)?),
            Facet::WhiteSpace => self.white_space(spec)?,
            Facet::MinInclusive | Facet::MinExclusive => {
                self.facets.min = Some(self.bound(spec, facet == Facet::MinInclusive)?);
            }
            Facet::MaxInclusive | Facet::MaxExclusive => {
                self.facets.max = Some(self.bound(spec, facet == Facet::MaxInclusive)?);
            }
            Facet::Pattern | Facet::Enumeration => {}
        }
        Ok(())
    }

    /// Section 4.3.6.4.
    fn white_space(&mut self, spec: &FacetSpec<'_>) -> Checked {
        self.whitespace = match spec.value.trim() {
            "preserve" => Whitespace::Preserve,
            "replace" => Whitespace::Replace,
            "collapse" => Whitespace::Collapse,
            _ => return Err("whiteSpace is preserve, replace or collapse".to_owned()),
        };
        let kept = self.whitespace == self.base.whitespace;
        if self.whitespace < self.base.whitespace {
            return Err("whiteSpace is weaker than that of the base type".to_owned());
        }
        if !kept && self.base.facets.fixed & Facet::WhiteSpace.bit() != 0 {
            return Err("whiteSpace is fixed in the base type".to_owned());
        }
        Ok(())
    }

    /// A bound has to be a value of the base type, except that an exclusive one may repeat the base's.
    fn bound(&self, spec: &FacetSpec<'_>, inclusive: bool) -> Checked<Bound> {
        let name = spec.name.name();
        let text = normalised(spec.value, Whitespace::Collapse);
        let value = read(self.base.builtin, &text, spec.scope)
            .map(Read::owned)
            .ok_or_else(|| format!("the value of {name} is no value of the base type"))?;
        let facets = &self.base.facets;
        let least = matches!(spec.name, Facet::MinInclusive | Facet::MinExclusive);
        let repeated = if least { &facets.min } else { &facets.max };
        let repeats = repeated.as_ref().is_some_and(|bound| {
            !bound.inclusive && !inclusive && order(&value, &bound.value) == Some(Ordering::Equal)
        });
        if !repeats && facets.check_bounds(|bound| order(&value, bound)).is_err() {
            return Err(format!("the value of {name} lies outside the base type's bounds"));
        }
        Ok(Bound { value, inclusive, shown: text.chars().take(80).collect::<String>().into() })
    }

    /// Patterns and enumerations, of which there can be many.
    fn several(&mut self, specs: &[FacetSpec<'_>]) -> Checked {
        let of = |facet| specs.iter().filter(move |spec| spec.name == facet);
        let patterns: Vec<&str> = of(Facet::Pattern).map(|spec| spec.value).collect();
        if !patterns.is_empty() {
            self.facets.patterns.push(Arc::new(Pattern::compile(&patterns)?));
        }
        if self.gives(Facet::Enumeration) {
            let mut values = Vec::new();
            for spec in of(Facet::Enumeration) {
                let value = self.base.value(spec.value, spec.scope);
                values.push(
                    value.map_err(|fault| format!("an enumeration is no value of the base type: {fault}"))?,
                );
            }
            self.facets.enumeration = Some(Arc::new(Enumeration::new(values)));
        } else if self.base.builtin == Builtin::Notation && self.facets.enumeration.is_none() {
            return Err("a type derived from NOTATION enumerates its values".to_owned());
        }
        Ok(())
    }

    /// A facet that is a number: fixed ones stay, others only get stricter.
    fn stricter(&self, facet: Facet, now: Option<u64>, before: Option<u64>, order: Ordering) -> Checked {
        let (Some(now), Some(before)) = (now, before) else { return Ok(()) };
        if now == before {
            return Ok(());
        }
        let name = facet.name();
        if self.base.facets.fixed & facet.bit() != 0 {
            return Err(format!("{name} is fixed in the base type"));
        }
        match now.cmp(&before) == order {
            true => Ok(()),
            false => Err(format!("{name} is weaker than that of the base type")),
        }
    }

    /// Sections 4.3.1.4, 4.3.2.4 and 4.3.3.4.
    fn lengths(&self) -> Checked {
        let (now, before) = (&self.facets, &self.base.facets);
        // A length can't be changed at all.
        self.stricter(Facet::Length, now.length, before.length, Ordering::Equal)?;
        self.stricter(Facet::MinLength, now.min_length, before.min_length, Ordering::Greater)?;
        self.stricter(Facet::MaxLength, now.max_length, before.max_length, Ordering::Less)?;
        if now.min_length.zip(now.max_length).is_some_and(|(least, most)| least > most) {
            return Err("minLength is greater than maxLength".to_owned());
        }
        let Some(length) = now.length else { return Ok(()) };
        for (facet, bound, fits) in [
            (Facet::MinLength, now.min_length, now.min_length.is_none_or(|least| least <= length)),
            (Facet::MaxLength, now.max_length, now.max_length.is_none_or(|most| most >= length)),
        ] {
            if !fits {
                return Err(format!("length and {} contradict each other", facet.name()));
            }
            if bound.is_some() && !self.bounded_without_length(facet, bound) {
                return Err(format!("length and {} can't both be given", facet.name()));
            }
        }
        Ok(())
    }

    /// Whether a type on the way to the base sets this bound and no length.
    fn bounded_without_length(&self, facet: Facet, bound: Option<u64>) -> bool {
        let mut step = Some(self.base);
        while let Some(base) = step {
            let set = if facet == Facet::MinLength { base.facets.min_length } else { base.facets.max_length };
            if base.facets.length.is_none() && set == bound {
                return true;
            }
            step = base.base();
        }
        false
    }

    /// Sections 4.3.7.4 to 4.3.10.4.
    fn range(&self) -> Checked {
        for (one, other) in
            [(Facet::MinInclusive, Facet::MinExclusive), (Facet::MaxInclusive, Facet::MaxExclusive)]
        {
            if self.gives(one) && self.gives(other) {
                return Err(format!("{} and {} can't both be given", one.name(), other.name()));
            }
        }
        for (inclusive, exclusive, now, before) in [
            (Facet::MinInclusive, Facet::MinExclusive, &self.facets.min, &self.base.facets.min),
            (Facet::MaxInclusive, Facet::MaxExclusive, &self.facets.max, &self.base.facets.max),
        ] {
            let Some((now, before)) = now.as_ref().zip(before.as_ref()) else { continue };
            let facet = if before.inclusive { inclusive } else { exclusive };
            let same = now.inclusive == before.inclusive
                && order(&now.value, &before.value) == Some(Ordering::Equal);
            if !same && self.base.facets.fixed & facet.bit() != 0 {
                return Err(format!("{} is fixed in the base type", facet.name()));
            }
        }
        let Some((min, max)) = self.facets.min.as_ref().zip(self.facets.max.as_ref()) else { return Ok(()) };
        match order(&min.value, &max.value) {
            Some(Ordering::Greater) => Err("the least value is greater than the greatest".to_owned()),
            Some(Ordering::Equal) if min.inclusive != max.inclusive => {
                Err("the least and the greatest value are equal and one of them is excluded".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Sections 4.3.11.4 and 4.3.12.4.
    fn digits(&self) -> Checked {
        let (now, before) = (&self.facets, &self.base.facets);
        self.stricter(Facet::TotalDigits, now.total_digits, before.total_digits, Ordering::Less)?;
        self.stricter(Facet::FractionDigits, now.fraction_digits, before.fraction_digits, Ordering::Less)?;
        match now.fraction_digits.zip(now.total_digits).is_some_and(|(fraction, total)| fraction > total) {
            true => Err("fractionDigits is greater than totalDigits".to_owned()),
            false => Ok(()),
        }
    }
}

/// A whole number that is not less than `least`; one too large for 64 bits bounds nothing that there can be.
fn number(spec: &FacetSpec<'_>, least: u64) -> Checked<u64> {
    let text = normalised(spec.value, Whitespace::Collapse);
    let digits = text.strip_prefix('+').unwrap_or(&text);
    let wrong = || format!("the value of {} is no whole number from {least}", spec.name.name());
    let zero = text.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c == b'0'));
    if zero && least == 0 {
        return Ok(0);
    }
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(wrong());
    }
    let significant = digits.trim_start_matches('0');
    let value = if significant.is_empty() { 0 } else { significant.parse().unwrap_or(u64::MAX) };
    if value < least { Err(wrong()) } else { Ok(value) }
}
