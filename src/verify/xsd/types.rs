//! Simple types (XSD 1.0 part 2): what texts they allow, and which values these stand for.
//!
//! A type is compiled once and immutable. Checking a text that is allowed needs no memory, except where runs of white
//! space have to be collapsed, where more than a few values that are no texts are enumerated, and for enumerated lists and unions.

mod binary;
mod builtin;
mod calendar;
mod decimal;
mod derive;
mod duration;
mod facets;
mod fault;
mod pattern;
mod space;
#[cfg(test)]
mod tests;
mod uri;
mod value;

use std::sync::{Arc, LazyLock};

pub(crate) use builtin::{Builtin, Primitive, Whitespace};
pub(crate) use facets::Facet;
pub(crate) use fault::ValueFault;
pub(crate) use value::Value;

use facets::{Bound, Facets};
use fault::{Fault, Unit};
use space::{is_space, items, normalised};
use value::Form;

/// Resolves a namespace prefix in scope, for qualified names. `""` is the default namespace.
pub(crate) trait Scope {
    /// The namespace that the prefix stands for; `None` if it is not declared.
    fn namespace(&self, prefix: &str) -> Option<&str>;
}

/// Takes every prefix as declared.
struct AnyScope;

impl Scope for AnyScope {
    fn namespace(&self, prefix: &str) -> Option<&str> {
        (!prefix.is_empty()).then_some("any")
    }
}

/// A facet as a schema gives it.
pub(crate) struct FacetSpec<'a> {
    /// Which.
    pub(crate) name: Facet,
    /// Its `value` attribute.
    pub(crate) value: &'a str,
    /// Its `fixed` attribute.
    pub(crate) fixed: bool,
    /// The prefixes in scope there.
    pub(crate) scope: &'a dyn Scope,
}

/// What a name that is unique, or refers to one, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IdKind {
    /// `ID`
    Id,
    /// `IDREF`
    IdRef,
    /// `ENTITY`
    Entity,
}

/// A simple type.
pub(crate) struct SimpleType {
    base: Option<Arc<SimpleType>>,
    kind: Kind,
    /// The nearest built-in type that it is or derives from.
    builtin: Builtin,
    whitespace: Whitespace,
    facets: Facets,
    any: bool,
    has_ids: bool,
    has_names: bool,
}

#[derive(Clone)]
enum Kind {
    Atomic,
    List(Arc<SimpleType>),
    Union(Arc<[Arc<SimpleType>]>),
}

static BUILTINS: LazyLock<Vec<Arc<SimpleType>>> = LazyLock::new(|| {
    let mut made: Vec<Arc<SimpleType>> = Vec::with_capacity(Builtin::ALL.len());
    for builtin in Builtin::ALL {
        let made_before = |wanted: Builtin| made.get(wanted as usize).cloned();
        let base = made_before(builtin.base());
        let facets = base.as_ref().map(|base| base.facets.clone()).unwrap_or_default();
        let item = builtin.item().and_then(made_before);
        made.push(Arc::new(SimpleType::new_builtin(*builtin, base, facets, item)));
    }
    made
});

impl SimpleType {
    fn new_builtin(
        builtin: Builtin,
        base: Option<Arc<Self>>,
        mut facets: Facets,
        item: Option<Arc<Self>>,
    ) -> Self {
        let bound = |digits: &'static str| {
            let value = decimal::Decimal::read(digits, true)?;
            Some(Bound { value: Value(Form::Decimal(value.owned())), inclusive: true, shown: digits.into() })
        };
        let (min, max) = builtin.bounds();
        facets.min = min.and_then(bound).or(facets.min);
        facets.max = max.and_then(bound).or(facets.max);
        if builtin == Builtin::Integer {
            facets.fraction_digits = Some(0);
            facets.fixed |= Facet::FractionDigits.bit();
        }
        if item.is_some() {
            facets.min_length = Some(1);
        }
        let string = builtin.primitive() == Primitive::String && item.is_none();
        if !string && builtin != Builtin::AnySimpleType {
            facets.fixed |= Facet::WhiteSpace.bit();
        }
        Self::new(base, item.map_or(Kind::Atomic, Kind::List), builtin, builtin.whitespace(), facets)
    }

    fn new(
        base: Option<Arc<Self>>,
        kind: Kind,
        builtin: Builtin,
        whitespace: Whitespace,
        facets: Facets,
    ) -> Self {
        let has_ids = match &kind {
            Kind::Atomic => id_kind(builtin).is_some(),
            Kind::List(item) => item.has_ids,
            Kind::Union(members) => members.iter().any(|member| member.has_ids),
        };
        let free = matches!(
            builtin,
            Builtin::AnySimpleType | Builtin::String | Builtin::NormalizedString | Builtin::Token
        );
        let any = match &kind {
            Kind::Atomic => free && facets.none(),
            Kind::List(_) => false,
            Kind::Union(members) => members.iter().any(|member| member.any) && facets.none(),
        };
        let has_names = match &kind {
            Kind::Atomic => matches!(builtin.primitive(), Primitive::QName | Primitive::Notation),
            Kind::List(item) => item.has_names,
            Kind::Union(members) => members.iter().any(|member| member.has_names),
        };
        Self { base, kind, builtin, whitespace, facets, any, has_ids, has_names }
    }

    /// The built-in type, the same one each time.
    pub(crate) fn builtin(builtin: Builtin) -> Arc<Self> {
        let found = BUILTINS.get(builtin as usize).cloned();
        // The table holds all of them.
        found.unwrap_or_else(|| Arc::new(Self::new_builtin(builtin, None, Facets::default(), None)))
    }

    /// A type derived by restriction. Patterns of one restriction are alternatives; those of several all have to match.
    ///
    /// # Errors
    /// A sentence that says which rule of part 2, section 4.3, or part 1, section 3.14.6, the restriction breaks.
    pub(crate) fn restriction(base: &Arc<Self>, facets: &[FacetSpec<'_>]) -> Result<Arc<Self>, String> {
        let (merged, whitespace) = derive::restrict(base, facets)?;
        Ok(Arc::new(Self::new(Some(base.clone()), base.kind.clone(), base.builtin, whitespace, merged)))
    }

    /// A list of values of `item`, separated by white space.
    ///
    /// # Errors
    /// The items' type is no atomic type and no union of such (section 2.5.1.2).
    pub(crate) fn list(item: &Arc<Self>) -> Result<Arc<Self>, String> {
        if item.has_list() {
            return Err("the items of a list can't be lists".to_owned());
        }
        let ur = Self::builtin(Builtin::AnySimpleType);
        if Arc::ptr_eq(item, &ur) {
            return Err("the items of a list can't be of the type anySimpleType".to_owned());
        }
        let facets = Facets { fixed: Facet::WhiteSpace.bit(), ..Facets::default() };
        let kind = Kind::List(item.clone());
        Ok(Arc::new(Self::new(Some(ur), kind, Builtin::AnySimpleType, Whitespace::Collapse, facets)))
    }

    /// A type whose values are those of its members; the first that allows a text decides which value it is. A union
    /// that is a member keeps its own facets (as later versions of the standard put right).
    ///
    /// # Errors
    /// There is no member.
    pub(crate) fn union(members: &[Arc<Self>]) -> Result<Arc<Self>, String> {
        let ur = Self::builtin(Builtin::AnySimpleType);
        if members.is_empty() {
            return Err("a union names the types of its values".to_owned());
        }
        let kind = Kind::Union(members.into());
        let facets = Facets::default();
        Ok(Arc::new(Self::new(Some(ur), kind, Builtin::AnySimpleType, Whitespace::Preserve, facets)))
    }

    fn has_list(&self) -> bool {
        match &self.kind {
            Kind::Atomic => false,
            Kind::List(_) => true,
            Kind::Union(members) => members.iter().any(|member| member.has_list()),
        }
    }

    /// Whether every text is allowed, so that there is no need to check any.
    pub(crate) fn accepts_any(&self) -> bool {
        self.any
    }

    /// Whether its values can hold tokens that [`SimpleType::ids`] reports.
    pub(crate) fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// Whether it is `ID` or derives from it.
    pub(crate) fn is_id(&self) -> bool {
        matches!(self.kind, Kind::Atomic) && self.builtin == Builtin::Id
    }

    /// Whether its values can be qualified names, which need the prefixes in scope.
    pub(crate) fn has_names(&self) -> bool {
        self.has_names
    }

    /// The type that it is derived from; `None` for `anySimpleType`.
    pub(crate) fn base(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// The types of which each may stand for a union; none for others. Where a union allows less than its members do, none may
    /// stand for it: its facets would not be looked at (the standard says so from 1.1 on).
    pub(crate) fn members(&self) -> &[Arc<Self>] {
        match &self.kind {
            Kind::Union(members) if self.facets.none() => members,
            _ => &[],
        }
    }

    /// Whether it is `other`, or derives from it through any number of restrictions, or it is a list or union and
    /// `other` is `anySimpleType`.
    pub(crate) fn derives_from(&self, other: &Self) -> bool {
        let mut step = Some(self);
        while let Some(current) = step {
            if std::ptr::eq(current, other) {
                return true;
            }
            step = current.base.as_deref();
        }
        false
    }

    /// Whether the text, as it stands in the document, is allowed. `scope` is asked for the prefixes of qualified names.
    ///
    /// # Errors
    /// What was expected.
    #[inline]
    pub(crate) fn check(&self, raw: &str, scope: &dyn Scope) -> Result<(), ValueFault> {
        if self.any { Ok(()) } else { self.fits(raw, scope).map_err(ValueFault) }
    }

    fn fits(&self, raw: &str, scope: &dyn Scope) -> Result<(), Fault> {
        match &self.kind {
            Kind::Atomic => {
                // Long texts in base64 are read as they are written: to collapse them would copy them.
                let as_written = self.builtin == Builtin::Base64Binary && self.facets.patterns.is_empty();
                let whitespace = if as_written { Whitespace::Preserve } else { self.whitespace };
                let text = normalised(raw, whitespace);
                let read = value::read(self.builtin, &text, scope).ok_or(Fault::Lexical(self.builtin))?;
                self.facets.check(&text, read)
            }
            Kind::List(item) => {
                let mut count = 0;
                for text in items(raw) {
                    count += 1;
                    item.fits(text, scope).map_err(|fault| Fault::Item(count, Box::new(fault)))?;
                }
                self.facets.check_count(count, Unit::Items)?;
                if !self.facets.patterns.is_empty() {
                    self.facets.check_patterns(&normalised(raw, Whitespace::Collapse))?;
                }
                match &self.facets.enumeration {
                    Some(allowed) => allowed.holds(&Value(Form::List(list(item, raw, scope)?))),
                    None => Ok(()),
                }
            }
            Kind::Union(members) => {
                let member = active(members, raw, scope).ok_or(Fault::NoMember(members.len()))?;
                if !self.facets.patterns.is_empty() {
                    self.facets.check_patterns(&normalised(raw, member.normalising(raw, scope)))?;
                }
                match &self.facets.enumeration {
                    Some(allowed) => allowed.holds(&member.valued(raw, scope)?),
                    None => Ok(()),
                }
            }
        }
    }

    /// The white space treatment of a union's innermost member for a text.
    fn normalising(&self, raw: &str, scope: &dyn Scope) -> Whitespace {
        match &self.kind {
            Kind::Union(members) => {
                active(members, raw, scope).map_or(self.whitespace, |member| member.normalising(raw, scope))
            }
            _ => self.whitespace,
        }
    }

    /// The value that the text stands for.
    ///
    /// # Errors
    /// As [`SimpleType::check`].
    pub(crate) fn value(&self, raw: &str, scope: &dyn Scope) -> Result<Value, ValueFault> {
        self.fits(raw, scope).and_then(|()| self.valued(raw, scope)).map_err(ValueFault)
    }

    /// The value of a text that fits.
    fn valued(&self, raw: &str, scope: &dyn Scope) -> Result<Value, Fault> {
        match &self.kind {
            Kind::Atomic => {
                let text = normalised(raw, self.whitespace);
                let read = value::read(self.builtin, &text, scope).ok_or(Fault::Lexical(self.builtin))?;
                Ok(read.owned())
            }
            Kind::List(item) => Ok(Value(Form::List(list(item, raw, scope)?))),
            Kind::Union(members) => {
                active(members, raw, scope).ok_or(Fault::NoMember(members.len()))?.valued(raw, scope)
            }
        }
    }

    /// Reports the ID, IDREF and ENTITY tokens of a text that is allowed.
    pub(crate) fn ids(&self, raw: &str, found: &mut dyn FnMut(IdKind, &str)) {
        if !self.has_ids {
            return;
        }
        match &self.kind {
            Kind::Atomic => {
                if let Some(kind) = id_kind(self.builtin) {
                    found(kind, raw.trim_matches(is_space));
                }
            }
            Kind::List(item) => items(raw).for_each(|text| item.ids(text, found)),
            Kind::Union(members) => {
                if let Some(member) = active(members, raw, &AnyScope) {
                    member.ids(raw, found);
                }
            }
        }
    }
}

fn list(item: &SimpleType, raw: &str, scope: &dyn Scope) -> Result<Vec<Value>, Fault> {
    items(raw).map(|text| item.valued(text, scope)).collect()
}

/// The first member that allows the text.
fn active<'m>(members: &'m [Arc<SimpleType>], raw: &str, scope: &dyn Scope) -> Option<&'m SimpleType> {
    members.iter().find(|member| member.any || member.fits(raw, scope).is_ok()).map(AsRef::as_ref)
}

fn id_kind(builtin: Builtin) -> Option<IdKind> {
    match builtin {
        Builtin::Id => Some(IdKind::Id),
        Builtin::IdRef => Some(IdKind::IdRef),
        Builtin::Entity => Some(IdKind::Entity),
        _ => None,
    }
}
