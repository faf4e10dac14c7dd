//! Licence expressions, as SPDX writes them and as crates wrote them before (`MIT/Apache-2.0`).
//!
//! In: an expression, and which licences are allowed. Out: whether a user can satisfy it with these alone.

/// Whether the allowed licences satisfy `expression`; nothing when it cannot be read.
pub(super) fn is_satisfied(expression: &str, allows: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut rest = Rest { words: spaced.split_whitespace().collect::<Vec<_>>().into_iter().peekable(), allows };
    let answer = rest.any_of()?;
    rest.words.next().is_none().then_some(answer)
}

/// What of an expression is still to be read.
struct Rest<'e> {
    words: std::iter::Peekable<std::vec::IntoIter<&'e str>>,
    allows: &'e dyn Fn(&str) -> bool,
}

impl<'e> Rest<'e> {
    fn any_of(&mut self) -> Option<bool> {
        let mut answer = self.all_of()?;
        while self.words.next_if_eq(&"OR").is_some() {
            answer |= self.all_of()?;
        }
        Some(answer)
    }

    /// `AND` binds more closely than `OR`.
    fn all_of(&mut self) -> Option<bool> {
        let mut answer = self.one()?;
        while self.words.next_if_eq(&"AND").is_some() {
            answer &= self.one()?;
        }
        Some(answer)
    }

    fn one(&mut self) -> Option<bool> {
        if self.words.next_if_eq(&"(").is_some() {
            let answer = self.any_of()?;
            return self.words.next_if_eq(&")").map(|_| answer);
        }
        let licence = self.word()?;
        if self.words.next_if_eq(&"WITH").is_none() {
            return Some((self.allows)(licence));
        }
        let exception = self.word()?;
        Some((self.allows)(&format!("{licence} WITH {exception}")))
    }

    /// An identifier, which is none of the operators.
    fn word(&mut self) -> Option<&'e str> {
        self.words.next().filter(|word| !["(", ")", "AND", "OR", "WITH"].contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mit_and_isc(expression: &str) -> Option<bool> {
        is_satisfied(expression, &|licence| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence))
    }

    #[test]
    fn one_side_of_a_choice_is_enough_and_a_sum_needs_all() {
        for satisfied in ["MIT", "GPL-3.0-only OR MIT", "GPL-3.0-only/MIT", "MIT AND ISC", "(MIT OR X) AND ISC"] {
            assert_eq!(with_mit_and_isc(satisfied), Some(true), "{satisfied}");
        }
        for refused in ["GPL-3.0-only", "MIT AND X", "X OR Y", "MIT AND (X OR Y)", "mit"] {
            assert_eq!(with_mit_and_isc(refused), Some(false), "{refused}");
        }
    }

    #[test]
    fn a_sum_binds_more_closely_than_a_choice() {
        assert_eq!(with_mit_and_isc("MIT OR X AND Y"), Some(true));
        assert_eq!(with_mit_and_isc("X AND MIT OR Y"), Some(false));
    }

    #[test]
    fn a_licence_with_an_exception_is_another_licence() {
        assert_eq!(with_mit_and_isc("Apache-2.0 WITH LLVM-exception"), Some(true));
        assert_eq!(with_mit_and_isc("Apache-2.0"), Some(false));
        assert_eq!(with_mit_and_isc("MIT WITH LLVM-exception"), Some(false));
    }

    #[test]
    fn what_is_no_expression_is_not_taken_for_one() {
        for text in ["", "MIT OR", "MIT ISC", "(MIT", "MIT)", "AND MIT", "MIT WITH"] {
            assert_eq!(with_mit_and_isc(text), None, "{text:?}");
        }
    }
}
