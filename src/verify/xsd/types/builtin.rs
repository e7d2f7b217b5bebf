//! The built-in types (XSD 1.0 part 2, section 3).

/// How white space is treated before a value is looked at (section 4.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whitespace {
    /// As it is.
    Preserve,
    /// Tabs and line ends become spaces.
    Replace,
    /// Besides, runs of spaces become one, and none stands at an end.
    Collapse,
}

/// The nature of an atomic type's values: values of different primitives are never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Primitive {
    /// `anySimpleType`: the text is the value.
    Any,
    String,
    Boolean,
    Decimal,
    Float,
    Double,
    Duration,
    DateTime,
    Time,
    Date,
    GYearMonth,
    GYear,
    GMonthDay,
    GDay,
    GMonth,
    HexBinary,
    Base64Binary,
    AnyUri,
    QName,
    Notation,
}

/// What beyond its primitive an atomic built-in asks of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lexis {
    /// Nothing.
    Free,
    /// A decimal number without a point.
    Integer,
    /// `language`.
    Language,
    /// `Name`.
    Name,
    /// `NCName` and what derives from it.
    NcName,
    /// `NMTOKEN`.
    NmToken,
}

macro_rules! builtins {
    ($($variant:ident $name:literal $base:ident $primitive:ident $lexis:ident $space:ident;)*) => {
        /// A built-in type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Builtin {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Builtin {
            /// All of them, each after its base.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The type with this local name in the namespace of XML Schema.
            #[cfg(test)]
            pub(crate) fn of_name(local: &str) -> Option<Self> {
                match local {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its local name.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The type that it is derived from; `anySimpleType` names itself.
            pub(crate) fn base(self) -> Self {
                match self {
                    $(Self::$variant => Self::$base,)*
                }
            }

            /// The nature of its values; of its items for the three lists.
            pub(crate) fn primitive(self) -> Primitive {
                match self {
                    $(Self::$variant => Primitive::$primitive,)*
                }
            }

            pub(super) fn lexis(self) -> Lexis {
                match self {
                    $(Self::$variant => Lexis::$lexis,)*
                }
            }

            pub(super) fn whitespace(self) -> Whitespace {
                match self {
                    $(Self::$variant => Whitespace::$space,)*
                }
            }
        }
    };
}

builtins! {
    AnySimpleType "anySimpleType" AnySimpleType Any Free Preserve;
    String "string" AnySimpleType String Free Preserve;
    Boolean "boolean" AnySimpleType Boolean Free Collapse;
    Decimal "decimal" AnySimpleType Decimal Free Collapse;
    Float "float" AnySimpleType Float Free Collapse;
    Double "double" AnySimpleType Double Free Collapse;
    Duration "duration" AnySimpleType Duration Free Collapse;
    DateTime "dateTime" AnySimpleType DateTime Free Collapse;
    Time "time" AnySimpleType Time Free Collapse;
    Date "date" AnySimpleType Date Free Collapse;
    GYearMonth "gYearMonth" AnySimpleType GYearMonth Free Collapse;
    GYear "gYear" AnySimpleType GYear Free Collapse;
    GMonthDay "gMonthDay" AnySimpleType GMonthDay Free Collapse;
    GDay "gDay" AnySimpleType GDay Free Collapse;
    GMonth "gMonth" AnySimpleType GMonth Free Collapse;
    HexBinary "hexBinary" AnySimpleType HexBinary Free Collapse;
    Base64Binary "base64Binary" AnySimpleType Base64Binary Free Collapse;
    AnyUri "anyURI" AnySimpleType AnyUri Free Collapse;
    QName "QName" AnySimpleType QName Free Collapse;
    Notation "NOTATION" AnySimpleType Notation Free Collapse;
    NormalizedString "normalizedString" String String Free Replace;
    Token "token" NormalizedString String Free Collapse;
    Language "language" Token String Language Collapse;
    NmToken "NMTOKEN" Token String NmToken Collapse;
    NmTokens "NMTOKENS" AnySimpleType String NmToken Collapse;
    Name "Name" Token String Name Collapse;
    NcName "NCName" Name String NcName Collapse;
    Id "ID" NcName String NcName Collapse;
    IdRef "IDREF" NcName String NcName Collapse;
    IdRefs "IDREFS" AnySimpleType String NcName Collapse;
    Entity "ENTITY" NcName String NcName Collapse;
    Entities "ENTITIES" AnySimpleType String NcName Collapse;
    Integer "integer" Decimal Decimal Integer Collapse;
    NonPositiveInteger "nonPositiveInteger" Integer Decimal Integer Collapse;
    NegativeInteger "negativeInteger" NonPositiveInteger Decimal Integer Collapse;
    Long "long" Integer Decimal Integer Collapse;
    Int "int" Long Decimal Integer Collapse;
    Short "short" Int Decimal Integer Collapse;
    Byte "byte" Short Decimal Integer Collapse;
    NonNegativeInteger "nonNegativeInteger" Integer Decimal Integer Collapse;
    UnsignedLong "unsignedLong" NonNegativeInteger Decimal Integer Collapse;
    UnsignedInt "unsignedInt" UnsignedLong Decimal Integer Collapse;
    UnsignedShort "unsignedShort" UnsignedInt Decimal Integer Collapse;
    UnsignedByte "unsignedByte" UnsignedShort Decimal Integer Collapse;
    PositiveInteger "positiveInteger" NonNegativeInteger Decimal Integer Collapse;
}

impl Builtin {
    /// The least and the greatest value of a derived integer, as far as it sets one that its base doesn't.
    pub(super) fn bounds(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::NonPositiveInteger => (None, Some("0")),
            Self::NegativeInteger => (None, Some("-1")),
            Self::Long => (Some("-9223372036854775808"), Some("9223372036854775807")),
            Self::Int => (Some("-2147483648"), Some("2147483647")),
            Self::Short => (Some("-32768"), Some("32767")),
            Self::Byte => (Some("-128"), Some("127")),
            Self::NonNegativeInteger => (Some("0"), None),
            Self::UnsignedLong => (None, Some("18446744073709551615")),
            Self::UnsignedInt => (None, Some("4294967295")),
            Self::UnsignedShort => (None, Some("65535")),
            Self::UnsignedByte => (None, Some("255")),
            Self::PositiveInteger => (Some("1"), None),
            _ => (None, None),
        }
    }

    /// The items of the three built-in lists.
    pub(super) fn item(self) -> Option<Self> {
        match self {
            Self::NmTokens => Some(Self::NmToken),
            Self::IdRefs => Some(Self::IdRef),
            Self::Entities => Some(Self::Entity),
            _ => None,
        }
    }

    /// What a value of the type is, in plain words that follow "is expected".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::AnySimpleType | Self::String | Self::NormalizedString | Self::Token => "a text",
            Self::Boolean => "true, false, 1 or 0",
            Self::Decimal => "a decimal number such as 12.50",
            Self::Float | Self::Double => "a number such as 1.5E3, INF, -INF or NaN",
            Self::Duration => "a duration such as P1Y2M3DT4H",
            Self::DateTime => "a date and time such as 2026-05-31T12:00:00Z",
            Self::Time => "a time such as 12:00:00",
            Self::Date => "a date such as 2026-05-31",
            Self::GYearMonth => "a month of a year such as 2026-05",
            Self::GYear => "a year such as 2026",
            Self::GMonthDay => "a day of a month such as --05-31",
            Self::GDay => "a day such as ---31",
            Self::GMonth => "a month such as --05",
            Self::HexBinary => "octets in hexadecimal digits, two for each",
            Self::Base64Binary => "octets in base64",
            Self::AnyUri => "a URI",
            Self::QName => "a qualified name whose prefix is declared",
            Self::Notation => "a notation's name whose prefix is declared",
            Self::Language => "a language tag such as de-DE",
            Self::NmToken | Self::NmTokens => "a name token",
            Self::Name => "a name",
            Self::NcName | Self::Id | Self::IdRef | Self::IdRefs | Self::Entity | Self::Entities => {
                "a name without a colon"
            }
            _ => "a whole number",
        }
    }
}
