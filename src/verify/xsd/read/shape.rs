//! Which elements and attributes a schema document may have where (XSD 1.0 part 1, the schema for schemas): what is
//! not known must be a fault, since it might have meant something.

const TYPES: &[&str] = &["simpleType", "complexType"];
const GROUPS: &[&str] = &["element", "group", "choice", "sequence", "any"];
const ATTRIBUTES: &[&str] = &["attribute", "attributeGroup", "anyAttribute"];
const FACETS: &[&str] = &[
    "length",
    "minLength",
    "maxLength",
    "pattern",
    "enumeration",
    "whiteSpace",
    "maxInclusive",
    "maxExclusive",
    "minInclusive",
    "minExclusive",
    "totalDigits",
    "fractionDigits",
];

/// The attributes of an element besides `id`; `None` for an element that XML Schema 1.0 does not have.
fn attributes(local: &str) -> Option<&'static [&'static str]> {
    Some(match local {
        "schema" => &[
            "targetNamespace",
            "version",
            "finalDefault",
            "blockDefault",
            "attributeFormDefault",
            "elementFormDefault",
        ],
        "include" | "redefine" => &["schemaLocation"],
        "import" => &["namespace", "schemaLocation"],
        "element" => &[
            "name",
            "ref",
            "type",
            "substitutionGroup",
            "minOccurs",
            "maxOccurs",
            "default",
            "fixed",
            "nillable",
            "abstract",
            "final",
            "block",
            "form",
        ],
        "attribute" => &["name", "ref", "type", "use", "default", "fixed", "form"],
        "complexType" => &["name", "mixed", "abstract", "final", "block"],
        "complexContent" => &["mixed"],
        "simpleContent" => &[],
        "extension" | "restriction" => &["base"],
        "simpleType" => &["name", "final"],
        "list" => &["itemType"],
        "union" => &["memberTypes"],
        "group" => &["name", "ref", "minOccurs", "maxOccurs"],
        "attributeGroup" => &["name", "ref"],
        "sequence" | "choice" | "all" => &["minOccurs", "maxOccurs"],
        "any" => &["namespace", "processContents", "minOccurs", "maxOccurs"],
        "anyAttribute" => &["namespace", "processContents"],
        "notation" => &["name", "public", "system"],
        "key" | "unique" => &["name"],
        "keyref" => &["name", "refer"],
        "selector" | "field" => &["xpath"],
        "pattern" | "enumeration" => &["value"],
        facet if FACETS.contains(&facet) => &["value", "fixed"],
        "annotation" => &[],
        _ => return None,
    })
}

/// Whether `child` may stand in `parent`.
fn holds(parent: &str, child: &str) -> bool {
    let in_type = || GROUPS.contains(&child) && child != "element" && child != "any" || child == "all";
    match parent {
        "schema" => {
            TYPES.contains(&child)
                || [
                    "include",
                    "import",
                    "redefine",
                    "element",
                    "attribute",
                    "group",
                    "attributeGroup",
                    "notation",
                ]
                .contains(&child)
        }
        "redefine" => TYPES.contains(&child) || ["group", "attributeGroup"].contains(&child),
        "element" => TYPES.contains(&child) || ["key", "unique", "keyref"].contains(&child),
        "attribute" | "list" | "union" => child == "simpleType",
        "complexType" => {
            in_type() || ATTRIBUTES.contains(&child) || ["simpleContent", "complexContent"].contains(&child)
        }
        "simpleContent" | "complexContent" => ["extension", "restriction"].contains(&child),
        "extension" => in_type() || ATTRIBUTES.contains(&child),
        "restriction" => {
            in_type() || ATTRIBUTES.contains(&child) || FACETS.contains(&child) || child == "simpleType"
        }
        "simpleType" => ["restriction", "list", "union"].contains(&child),
        "group" => ["sequence", "choice", "all"].contains(&child),
        "attributeGroup" => ATTRIBUTES.contains(&child),
        "sequence" | "choice" => GROUPS.contains(&child),
        "all" => child == "element",
        "key" | "unique" | "keyref" => ["selector", "field"].contains(&child),
        _ => false,
    }
}

/// Checks an element by its parent, its name and those of its attributes.
///
/// # Errors
/// What is wrong, without the place.
pub(super) fn check<'n>(
    parent: Option<&str>,
    local: &str,
    mut names: impl Iterator<Item = &'n str>,
) -> Result<(), String> {
    let Some(known) = attributes(local) else {
        return Err(format!("XML Schema 1.0 has no element {local}"));
    };
    match parent {
        None if local != "schema" => return Err("the root element is not schema".to_owned()),
        Some(parent) if !holds(parent, local) => return Err(format!("{local} has no place in {parent}")),
        _ => {}
    }
    match names.find(|name| *name != "id" && !known.contains(name)) {
        Some(name) => Err(format!("{local} has no attribute {name} in XML Schema 1.0")),
        None => Ok(()),
    }
}
