//! Label selectors: `app=web,tier in (front, back),!canary`, and `metav1.LabelSelector`.

use std::fmt;

use serde_json::Value;

use super::SelectorError;
use super::parse::Parser;

/// How a label's value must relate to the values of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `k=v`
    Equals,
    /// `k==v`
    DoubleEquals,
    /// `k!=v`: also holds when the label is absent.
    NotEquals,
    /// `k in (a,b)`
    In,
    /// `k notin (a,b)`: also holds when the label is absent.
    NotIn,
    /// `k`
    Exists,
    /// `!k`
    DoesNotExist,
    /// `k>5`, on integers.
    GreaterThan,
    /// `k<5`, on integers.
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub(super) key: String,
    pub(super) operator: Operator,
    /// Sorted, without duplicates.
    pub(super) values: Vec<String>,
}

/// A conjunction of requirements, or the selector that matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector {
    /// `None` matches nothing: what an absent selector of a workload means.
    requirements: Option<Vec<Requirement>>,
}

impl LabelSelector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self { requirements: Some(Vec::new()) }
    }

    /// Matches no object.
    pub fn nothing() -> Self {
        Self { requirements: None }
    }

    /// Reads the text of a `labelSelector` parameter; empty text selects everything. Fails with
    /// upstream's sentence.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = Parser::new(text).parse()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements: Some(requirements) })
    }

    /// Reads a `metav1.LabelSelector` object: null selects nothing, `{}` everything.
    pub fn from_value(selector: &Value) -> Result<Self, SelectorError> {
        if selector.is_null() {
            return Ok(Self::nothing());
        }
        let mut requirements = equalities(&selector["matchLabels"]);
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            requirements.push(from_expression(expression)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements: Some(requirements) })
    }

    /// Selects what has all these labels (the selector of a Service); null or an empty map
    /// selects everything, so callers ask first whether there is a selector at all.
    pub fn from_map(labels: &Value) -> Self {
        Self { requirements: Some(equalities(labels)) }
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.as_ref().is_some_and(Vec::is_empty)
    }

    /// The requirements, none for a selector that matches nothing.
    pub fn requirements(&self) -> &[Requirement] {
        self.requirements.as_deref().unwrap_or_default()
    }

    /// Whether a map of labels (null: no labels) matches.
    pub fn matches(&self, labels: &Value) -> bool {
        self.matches_by(|key| labels.get(key).and_then(Value::as_str))
    }

    /// Whether labels match that are looked up one by one.
    pub fn matches_by<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> bool {
        self.requirements.as_ref().is_some_and(|all| all.iter().all(|r| r.matches(lookup(&r.key))))
    }

    /// Whether the `.metadata.labels` of an object match.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches(&object["metadata"]["labels"])
    }
}

fn equalities(labels: &Value) -> Vec<Requirement> {
    let entries = labels.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.as_str().unwrap_or_default().to_owned()],
        })
        .collect()
}

fn from_expression(expression: &Value) -> Result<Requirement, SelectorError> {
    let text = expression["operator"].as_str().unwrap_or_default();
    let operator = match text {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => return Err(SelectorError(format!("\"{text}\" is not a valid label selector operator"))),
    };
    let values = expression["values"].as_array().into_iter().flatten();
    let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
    Requirement::new(expression["key"].as_str().unwrap_or_default(), operator, values)
}

impl Requirement {
    /// A requirement on a label; fails when key, values and operator do not fit together.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, SelectorError> {
        values.sort();
        values.dedup();
        let mut wrong = Vec::new();
        for sentence in crate::names::qualified(key) {
            wrong.push(format!("key: Invalid value: {}: {sentence}", Value::from(key)));
        }
        if let Some(sentence) = operator.wrong_count(values.len()) {
            wrong.push(format!("values: Invalid value: {}: {sentence}", Value::from(values.clone())));
        }
        for (index, value) in values.iter().enumerate() {
            if operator.is_numeric() && value.parse::<i64>().is_err() {
                wrong.push(format!(
                    "values[{index}]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer",
                    Value::from(value.as_str())
                ));
            }
            let sentences = crate::names::label_value(value);
            if !sentences.is_empty() {
                let value = Value::from(value.as_str());
                wrong.push(format!("values[{index}][{key}]: Invalid value: {value}: {}", sentences.join("; ")));
            }
        }
        match wrong.as_slice() {
            [] => Ok(Self { key: key.to_owned(), operator, values }),
            [one] => Err(SelectorError(one.clone())),
            many => Err(SelectorError(format!("[{}]", many.join(", ")))),
        }
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The relation between label and values.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The values, sorted.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn matches(&self, found: Option<&str>) -> bool {
        let is_one_of = |value: &str| self.values.iter().any(|v| v == value);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => found.is_some_and(is_one_of),
            Operator::NotIn | Operator::NotEquals => !found.is_some_and(is_one_of),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::GreaterThan => self.compares(found, |label, limit| label > limit),
            Operator::LessThan => self.compares(found, |label, limit| label < limit),
        }
    }

    fn compares(&self, found: Option<&str>, holds: fn(i64, i64) -> bool) -> bool {
        let number = |text: &str| text.parse::<i64>().ok();
        let limit = self.values.first().and_then(|value| number(value));
        matches!((found.and_then(number), limit), (Some(label), Some(limit)) if holds(label, limit))
    }
}

impl Operator {
    fn is_numeric(self) -> bool {
        matches!(self, Self::GreaterThan | Self::LessThan)
    }

    fn wrong_count(self, count: usize) -> Option<&'static str> {
        match self {
            Self::In | Self::NotIn if count == 0 => Some("for 'in', 'notin' operators, values set can't be empty"),
            Self::Equals | Self::DoubleEquals | Self::NotEquals if count != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Self::Exists | Self::DoesNotExist if count != 0 => {
                Some("values set must be empty for exists and does not exist")
            }
            Self::GreaterThan | Self::LessThan if count != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.join(",");
        let key = &self.key;
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    /// The text that [`LabelSelector::parse`] reads; empty for everything and for nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements().iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

/// A `metav1.LabelSelector` in the words of `kubectl get` columns: `<none>` when nothing is
/// asked for (apimachinery `FormatLabelSelector`).
pub fn format_label_selector(selector: &Value) -> String {
    let Ok(parsed) = LabelSelector::from_value(selector) else { return "<error>".to_owned() };
    if parsed.requirements().is_empty() { "<none>".to_owned() } else { parsed.to_string() }
}
