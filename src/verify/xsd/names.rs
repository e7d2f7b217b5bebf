//! Names as numbers: all that a schema set speaks of is numbered once, so that a check compares numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ns(pub(super) u32);

impl Ns {
    /// No namespace.
    pub(crate) const NONE: Self = Self(0);
    /// One that the schema set never names.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);
}

/// A local name in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(pub(super) u32);

impl Name {
    /// One that the schema set never names.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);

    /// Its place in tables by name.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// FNV-1a. The tables hold what a schema names and never grow by a message, so nobody can fill them with collisions.
#[derive(Clone)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

type Table<V> = HashMap<Box<str>, V, BuildHasherDefault<Fnv>>;

/// All names of a schema set.
pub(crate) struct Names {
    numbers: Table<Ns>,
    /// By namespace: its local names.
    locals: Vec<Table<Name>>,
    names: Vec<(Ns, Box<str>)>,
}

impl Names {
    /// With nothing but "no namespace".
    pub(super) fn new() -> Self {
        let mut names = Self { numbers: Table::default(), locals: Vec::new(), names: Vec::new() };
        names.add_namespace("");
        names
    }

    /// The number of a namespace, a new one if need be; empty stands for none.
    pub(super) fn add_namespace(&mut self, uri: &str) -> Ns {
        if let Some(known) = self.numbers.get(uri) {
            return *known;
        }
        let number = Ns(u32::try_from(self.locals.len()).unwrap_or(u32::MAX - 1));
        self.numbers.insert(uri.into(), number);
        self.locals.push(Table::default());
        number
    }

    /// The number of a name, a new one if need be.
    pub(super) fn add(&mut self, namespace: Ns, local: &str) -> Name {
        let number = Name(u32::try_from(self.names.len()).unwrap_or(u32::MAX - 1));
        let Some(table) = self.locals.get_mut(namespace.0 as usize) else { return Name::UNKNOWN };
        if let Some(known) = table.get(local) {
            return *known;
        }
        table.insert(local.into(), number);
        self.names.push((namespace, local.into()));
        number
    }

    /// The number of a namespace.
    pub(crate) fn namespace(&self, uri: &str) -> Ns {
        if uri.is_empty() { Ns::NONE } else { self.numbers.get(uri).copied().unwrap_or(Ns::UNKNOWN) }
    }

    /// The number of a name.
    #[inline]
    pub(crate) fn name(&self, namespace: Ns, local: &str) -> Name {
        let table = self.locals.get(namespace.0 as usize);
        table.and_then(|table| table.get(local)).copied().unwrap_or(Name::UNKNOWN)
    }

    /// Whether a number stands for this name.
    #[inline]
    pub(crate) fn is(&self, name: Name, namespace: Ns, local: &str) -> bool {
        self.names.get(name.index()).is_some_and(|(ns, known)| *ns == namespace && **known == *local)
    }

    /// The local name that a number stands for.
    pub(crate) fn local(&self, name: Name) -> &str {
        self.names.get(name.index()).map_or("", |(_, local)| local.as_ref())
    }

    /// The namespace of a name.
    pub(super) fn namespace_of(&self, name: Name) -> Ns {
        self.names.get(name.index()).map_or(Ns::UNKNOWN, |(namespace, _)| *namespace)
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}
