//! A compiled schema set: declarations and types, each by its number.

use std::collections::HashMap;
use std::sync::Arc;

use super::automaton::Content;
use super::names::{Name, Names, Ns};
use super::types::{SimpleType, Value};
use super::wildcard::Wildcard;

/// The number of an element declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ElementId(pub(super) u32);

/// The number of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TypeId(pub(super) u32);

impl TypeId {
    /// `xs:anyType`
    pub(crate) const ANY: Self = Self(0);
}

/// The number of an identity constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdentityId(pub(super) u32);

/// Ways to derive, for `block` and `final` (section 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Ways(pub(super) u8);

impl Ways {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const EXTENSION: Self = Self(1);
    pub(crate) const RESTRICTION: Self = Self(2);
    pub(crate) const SUBSTITUTION: Self = Self(4);
    pub(crate) const LIST: Self = Self(8);
    pub(crate) const UNION: Self = Self(16);

    /// Whether all of `other` are among them.
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A default or fixed value.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// It is fixed.
    pub(crate) fixed: bool,
    /// As the schema writes it.
    pub(crate) text: Box<str>,
    /// The value; `None` for mixed content.
    pub(crate) value: Option<Value>,
}

/// An element declaration (section 3.3).
pub(crate) struct Element {
    pub(crate) name: Name,
    pub(crate) kind: TypeId,
    pub(crate) nillable: bool,
    pub(crate) is_abstract: bool,
    pub(crate) given: Option<Given>,
    pub(crate) block: Ways,
    pub(crate) identities: Vec<IdentityId>,
}

/// An attribute declaration (section 3.2).
#[derive(Clone)]
pub(crate) struct Attribute {
    pub(crate) name: Name,
    pub(crate) kind: Arc<SimpleType>,
    pub(crate) given: Option<Given>,
}

/// An attribute of a complex type (section 3.5).
#[derive(Clone)]
pub(crate) struct Use {
    pub(crate) attribute: Attribute,
    pub(crate) required: bool,
}

/// The attributes of a complex type.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    /// Sorted by name.
    pub(crate) uses: Vec<Use>,
    /// How many of them are required.
    pub(crate) required: usize,
    /// What else is let in.
    pub(crate) wildcard: Option<Wildcard>,
    /// One of them is of a type derived from `ID`.
    pub(crate) has_id: bool,
}

impl Attributes {
    pub(super) fn new(mut uses: Vec<Use>, wildcard: Option<Wildcard>) -> Self {
        uses.sort_by_key(|found| found.attribute.name);
        let required = uses.iter().filter(|found| found.required).count();
        let has_id = uses.iter().any(|found| found.attribute.kind.is_id());
        Self { uses, required, wildcard, has_id }
    }

    /// The use of this name.
    #[inline]
    pub(crate) fn find(&self, name: Name) -> Option<&Use> {
        if self.uses.len() <= 8 {
            return self.uses.iter().find(|found| found.attribute.name == name);
        }
        let at = self.uses.binary_search_by_key(&name, |found| found.attribute.name).ok()?;
        self.uses.get(at)
    }
}

/// A complex type (section 3.4).
pub(crate) struct Complex {
    pub(crate) base: TypeId,
    /// How it derives from its base.
    pub(crate) way: Ways,
    pub(crate) is_abstract: bool,
    /// What may not stand for it by `xsi:type`.
    pub(crate) block: Ways,
    pub(crate) attributes: Attributes,
    pub(crate) content: Content,
    pub(crate) mixed: bool,
}

/// A type.
pub(crate) enum Type {
    Simple(Arc<SimpleType>),
    Complex(Complex),
}

/// A step of a path (section 3.11.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `*`
    Any,
    /// `p:*`
    In(Ns),
    /// A name.
    Named(Name),
}

impl Step {
    #[inline]
    pub(crate) fn fits(self, namespace: Ns, name: Name) -> bool {
        match self {
            Self::Any => true,
            Self::In(wanted) => wanted == namespace,
            Self::Named(wanted) => wanted == name,
        }
    }
}

/// A path of a selector or a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// It begins with `.//`.
    pub(crate) anywhere: bool,
    pub(crate) steps: Vec<Step>,
    /// The attribute that it leads to; fields only.
    pub(crate) attribute: Option<Step>,
}

/// What an identity constraint asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityKind {
    Unique,
    Key,
    /// And the key that it refers to.
    KeyRef(IdentityId),
}

/// An identity constraint (section 3.11).
pub(crate) struct Identity {
    pub(crate) name: Name,
    pub(crate) kind: IdentityKind,
    pub(crate) selector: Vec<Path>,
    pub(crate) fields: Vec<Vec<Path>>,
}

/// A compiled schema set.
pub(crate) struct Schema {
    pub(crate) names: Names,
    pub(crate) elements: Vec<Element>,
    pub(crate) types: Vec<Type>,
    pub(crate) identities: Vec<Identity>,
    /// By name.
    pub(super) global_elements: Vec<Option<ElementId>>,
    pub(super) global_attributes: HashMap<Name, Attribute>,
    pub(super) global_types: HashMap<Name, TypeId>,
}

impl Schema {
    /// The global element of this name.
    #[inline]
    pub(crate) fn global_element(&self, name: Name) -> Option<ElementId> {
        self.global_elements.get(name.index()).copied().flatten()
    }

    /// The declaration of this number.
    #[inline]
    pub(crate) fn element(&self, id: ElementId) -> Option<&Element> {
        self.elements.get(id.0 as usize)
    }

    /// The type of this number.
    #[inline]
    pub(crate) fn kind(&self, id: TypeId) -> Option<&Type> {
        self.types.get(id.0 as usize)
    }

    /// Whether `derived` is `base` or derives from it, in no way that is blocked (sections 3.4.6 and 3.14.6,
    /// "Type Derivation OK").
    pub(crate) fn derives(&self, derived: TypeId, base: TypeId, blocked: Ways) -> bool {
        derives(&|id| self.kind(id), derived, base, blocked)
    }
}

/// As [`Schema::derives`], over types that are looked up by `kind`.
pub(super) fn derives<'t>(
    kind: &dyn Fn(TypeId) -> Option<&'t Type>,
    derived: TypeId,
    base: TypeId,
    blocked: Ways,
) -> bool {
    let mut step = derived;
    // A chain of bases has no circle: the compiler refuses one.
    loop {
        if step == base {
            return true;
        }
        match (kind(step), kind(base)) {
            (Some(Type::Complex(complex)), _) => {
                if step == TypeId::ANY || blocked.has(complex.way) {
                    return false;
                }
                step = complex.base;
            }
            (Some(Type::Simple(_)), _) if base == TypeId::ANY => return !blocked.has(Ways::RESTRICTION),
            (Some(Type::Simple(from)), Some(Type::Simple(to))) => {
                return Arc::ptr_eq(from, to) || !blocked.has(Ways::RESTRICTION) && stands_for(from, to);
            }
            _ => return false,
        }
    }
}

/// Section 3.14.6, "Type Derivation OK (Simple)": by restriction, or as a member of a union.
fn stands_for(from: &SimpleType, to: &SimpleType) -> bool {
    from.derives_from(to) || to.members().iter().any(|member| stands_for(from, member))
}
