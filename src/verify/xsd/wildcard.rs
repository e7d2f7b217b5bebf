//! Wildcards (XSD 1.0 part 1, section 3.10).

use super::names::Ns;

/// What becomes of what a wildcard lets in (section 3.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// It must be declared, and valid.
    Strict,
    /// It must be valid where it is declared.
    Lax,
    /// Nothing is looked at.
    Skip,
}

/// The namespaces that a wildcard lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// All, and none.
    Any,
    /// All but this one, and not none.
    Not(Ns),
    /// These; [`Ns::NONE`] stands for none. Sorted, each once.
    These(Vec<Ns>),
}

/// A wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    /// Which namespaces it lets in.
    pub(crate) allowed: Allowed,
    /// What becomes of them.
    pub(crate) process: Process,
}

/// Two sets of namespaces whose union or intersection no wildcard can say (section 3.10.6).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotExpressible;

fn these(mut namespaces: Vec<Ns>) -> Allowed {
    namespaces.sort_unstable();
    namespaces.dedup();
    Allowed::These(namespaces)
}

impl Allowed {
    /// From a list, in any order.
    pub(super) fn these(namespaces: Vec<Ns>) -> Self {
        these(namespaces)
    }

    /// Section 3.10.4, "Wildcard allows Namespace Name".
    #[inline]
    pub(crate) fn allows(&self, namespace: Ns) -> bool {
        match self {
            Self::Any => true,
            Self::Not(not) => namespace != *not && namespace != Ns::NONE,
            Self::These(these) => these.contains(&namespace),
        }
    }

    /// Section 3.10.6, "Attribute Wildcard Union".
    pub(super) fn union(&self, other: &Self) -> Result<Self, NotExpressible> {
        Ok(match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            (Self::These(a), Self::These(b)) => these(a.iter().chain(b).copied().collect()),
            // Two different negations leave nothing out but "no namespace".
            (Self::Not(_), Self::Not(_)) => Self::Not(Ns::NONE),
            (Self::Not(not), Self::These(set)) | (Self::These(set), Self::Not(not)) => {
                let (named, none) = (set.contains(not), set.contains(&Ns::NONE));
                match (*not == Ns::NONE, named, none) {
                    (true, _, true) | (false, true, true) => Self::Any,
                    (true, _, false) => Self::Not(Ns::NONE),
                    (false, true, false) => Self::Not(Ns::NONE),
                    (false, false, true) => return Err(NotExpressible),
                    (false, false, false) => Self::Not(*not),
                }
            }
        })
    }

    /// Section 3.10.6, "Attribute Wildcard Intersection".
    pub(super) fn intersection(&self, other: &Self) -> Result<Self, NotExpressible> {
        Ok(match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::Any, other) | (other, Self::Any) => other.clone(),
            (Self::Not(_), Self::These(set)) => {
                Self::These(set.iter().copied().filter(|ns| self.allows(*ns)).collect())
            }
            (Self::These(set), other) => {
                Self::These(set.iter().copied().filter(|ns| other.allows(*ns)).collect())
            }
            (Self::Not(Ns::NONE), Self::Not(not)) | (Self::Not(not), Self::Not(Ns::NONE)) => Self::Not(*not),
            (Self::Not(_), Self::Not(_)) => return Err(NotExpressible),
        })
    }

    /// Whether some namespace is let in by both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::These(set), other) | (other, Self::These(set)) => {
                set.iter().any(|namespace| other.allows(*namespace))
            }
            // Of the other two each lets in all but two.
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All the kinds there are, over three namespaces.
    fn all() -> Vec<Allowed> {
        let spaces = [Ns::NONE, Ns(1), Ns(2)];
        let mut all = vec![Allowed::Any];
        all.extend(spaces.map(Allowed::Not));
        for bits in 0..8 {
            all.push(these((0..3).filter(|bit| bits >> bit & 1 == 1).map(|bit| spaces[bit]).collect()));
        }
        all
    }

    #[test]
    fn unions_and_intersections_are_those_of_sets() {
        let probes = [Ns::NONE, Ns(1), Ns(2), Ns(3), Ns::UNKNOWN];
        let (mut not_union, mut not_intersection) = (0, 0);
        for a in all() {
            for b in all() {
                match a.union(&b) {
                    Ok(union) => {
                        for ns in probes {
                            assert_eq!(union.allows(ns), a.allows(ns) || b.allows(ns), "{a:?} {b:?} {ns:?}");
                        }
                    }
                    Err(NotExpressible) => not_union += 1,
                }
                match a.intersection(&b) {
                    Ok(both) => {
                        for ns in probes {
                            assert_eq!(both.allows(ns), a.allows(ns) && b.allows(ns), "{a:?} {b:?} {ns:?}");
                        }
                    }
                    Err(NotExpressible) => not_intersection += 1,
                }
                let meet = probes.iter().any(|ns| a.allows(*ns) && b.allows(*ns));
                assert_eq!(a.meets(&b), meet, "{a:?} {b:?}");
            }
        }
        assert_eq!((not_union, not_intersection), (8, 2));
    }
}
