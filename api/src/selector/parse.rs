//! The grammar of label selectors (apimachinery `labels.Parse`): tokens, then requirements.

use super::SelectorError;
use super::labels::{Operator, Requirement};

const BINARY_OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Identifier,
    Symbol,
    End,
}

/// A token with its text; `in` and `notin` are identifiers until an operator is expected.
type Item<'a> = (Token, &'a str);

/// Reads one selector text.
pub(super) struct Parser<'a> {
    items: Vec<Item<'a>>,
    position: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { items: tokens(text), position: 0 }
    }

    pub(super) fn parse(mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        if self.peek().0 == Token::End {
            return Ok(requirements);
        }
        loop {
            match self.peek() {
                (Token::Identifier, _) | (Token::Symbol, "!") => {}
                (_, found) => return error(format!("found '{found}', expected: !, identifier, or 'end of string'")),
            }
            let requirement = self
                .requirement()
                .map_err(|SelectorError(why)| SelectorError(format!("unable to parse requirement: {why}")))?;
            requirements.push(requirement);
            match self.next() {
                (Token::End, _) => return Ok(requirements),
                (_, ",") => match self.peek() {
                    (Token::Identifier, _) | (Token::Symbol, "!") => {}
                    (_, found) => return error(format!("found '{found}', expected: identifier after ','")),
                },
                (_, found) => return error(format!("found '{found}', expected: ',' or 'end of string'")),
            }
        }
    }

    fn peek(&self) -> Item<'a> {
        self.items.get(self.position).copied().unwrap_or((Token::End, ""))
    }

    fn next(&mut self) -> Item<'a> {
        let item = self.peek();
        self.position += 1;
        item
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == (Token::Symbol, "!");
        if negated {
            self.next();
        }
        let (token, key) = self.next();
        if token != Token::Identifier {
            return error(format!("found '{key}', expected: identifier"));
        }
        let wrong = crate::names::qualified(key);
        if !wrong.is_empty() {
            // Upstream has no field path here and prints Go's word for that.
            return error(format!("<nil>: Invalid value: {key:?}: {}", wrong.join("; ")));
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), (Token::End, _) | (Token::Symbol, ",")) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.set()?,
            _ => vec![self.exact()?],
        };
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        Ok(match self.next().1 {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            "=" => Operator::Equals,
            "==" => Operator::DoubleEquals,
            "!=" => Operator::NotEquals,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            found => return error(format!("found '{found}', expected: {BINARY_OPERATORS}")),
        })
    }

    /// `(a, b)`; an absent identifier is the empty value.
    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            (Token::Symbol, "(") => {}
            (_, found) => return error(format!("found '{found}' expected: '('")),
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek() {
                (Token::Identifier, value) => {
                    self.next();
                    value
                }
                (Token::Symbol, "," | ")") => "",
                (_, found) => return error(format!("found '{found}', expected: ',', ')' or identifier")),
            };
            values.push(value.to_owned());
            match self.next() {
                (Token::Symbol, ",") => {}
                (Token::Symbol, ")") => return Ok(values),
                (_, found) => return error(format!("found '{found}', expected: ',' or ')'")),
            }
        }
    }

    fn exact(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            (Token::End, _) | (Token::Symbol, ",") => Ok(String::new()),
            (Token::Identifier, value) => {
                self.next();
                Ok(value.to_owned())
            }
            (_, found) => error(format!("found '{found}', expected: identifier")),
        }
    }
}

fn error<T>(message: String) -> Result<T, SelectorError> {
    Err(SelectorError(message))
}

fn tokens(text: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = rest.chars().next() else { return items };
        let (token, length) = if is_symbol(first) {
            (Token::Symbol, symbol_length(rest))
        } else {
            let end = rest.find(|c: char| is_symbol(c) || " \t\r\n".contains(c));
            (Token::Identifier, end.unwrap_or(rest.len()))
        };
        items.push((token, &rest[..length]));
        rest = &rest[length..];
    }
}

fn is_symbol(c: char) -> bool {
    "=!(),><".contains(c)
}

fn symbol_length(rest: &str) -> usize {
    if rest.starts_with("==") || rest.starts_with("!=") { 2 } else { 1 }
}
