//! Sets of fields as `FieldsV1`: `{"f:metadata":{"f:labels":{".":{},"f:app":{}}}}`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Element, FieldSet, Node};

/// The name under which a field that has fields below it says that it is in the set, too.
const ITSELF: &str = ".";

impl Element {
    /// Reads a name of `FieldsV1`. One of a kind that is not known is none.
    ///
    /// # Errors
    /// What is wrong with it, as upstream says it.
    pub(in crate::apply) fn parse(text: &str) -> Result<Option<Self>, String> {
        let [kind, colon, ..] = text.as_bytes() else { return Err("key must be 2 characters long:".to_owned()) };
        if *colon != b':' {
            return Err(format!("missing colon: {text}"));
        }
        let rest = text.get(2..).ok_or_else(|| format!("missing colon: {text}"))?;
        match kind {
            b'f' => Ok(Some(Self::Field(rest.to_owned()))),
            b'v' => serde_json::from_str(rest).map(|value| Some(Self::Value(value))).map_err(|e| e.to_string()),
            b'k' => {
                // The map sorts the fields by their names.
                let fields: Map<String, Value> = serde_json::from_str(rest).map_err(|e| e.to_string())?;
                Ok(Some(Self::Key(fields.into_iter().collect())))
            }
            b'i' => {
                let index = rest.parse().map_err(|_| format!("strconv.Atoi: parsing {rest:?}: invalid syntax"))?;
                Ok(Some(Self::Index(index)))
            }
            _ => Ok(None),
        }
    }

    /// As `FieldsV1` names it.
    pub(in crate::apply) fn print(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let mut text = "k:{".to_owned();
                for (at, (name, value)) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    // Writing to a string does not fail.
                    let _ = write!(text, "{comma}{}:{value}", Value::from(name.as_str()));
                }
                text + "}"
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

impl FieldSet {
    /// Reads `FieldsV1`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::apply) fn parse(fields: &Value) -> Result<Self, String> {
        match fields {
            Value::Null => Ok(Self::default()),
            Value::Object(map) => Ok(read(map)?.below),
            other => Err(format!("expected an object, got {other}")),
        }
    }

    /// As `FieldsV1`.
    pub(in crate::apply) fn to_value(&self) -> Value {
        Value::Object(self.nodes().map(|(element, node)| (element.print(), write(node))).collect())
    }

    /// As the text of `FieldsV1`, in upstream's order.
    #[cfg(test)]
    pub(in crate::apply) fn to_text(&self) -> String {
        let fields = self.nodes().map(|(element, node)| {
            let itself = if node.is_member && !node.below.is_empty() { "\".\":{}," } else { "" };
            format!("{}:{{{itself}{}", Value::from(element.print()), &node.below.to_text()[1..])
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }
}

/// A field without anything below it is in the set.
fn read(map: &Map<String, Value>) -> Result<Node, String> {
    let mut node = Node::default();
    for (name, value) in map {
        if name == ITSELF {
            node.is_member = true;
        } else if let Some(element) = Element::parse(name)? {
            let Value::Object(map) = value else { return Err(format!("{name}: expected an object, got {value}")) };
            node.below.attach(element, read(map)?);
        }
    }
    node.is_member |= node.below.is_empty();
    Ok(node)
}

fn write(node: &Node) -> Value {
    let Value::Object(mut map) = node.below.to_value() else { return Value::Null };
    if node.is_member && !map.is_empty() {
        map.insert(ITSELF.to_owned(), Value::Object(Map::new()));
    }
    Value::Object(map)
}
