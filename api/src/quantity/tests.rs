use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    text.parse::<Quantity>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

/// Cases of apimachinery's `TestQuantityString` and `TestQuantityParseEmit`, and manifests' habits.
#[test]
fn text_becomes_canonical_as_upstream_does() {
    for (text, expected) in [
        ("0", "0"),
        ("0Ki", "0"),
        ("1", "1"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("0.1", "100m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("100", "100"),
        ("100m", "100m"),
        ("12000", "12k"),
        ("12345", "12345"),
        ("1Ki", "1Ki"),
        ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"),
        ("1Gi", "1Gi"),
        ("1000Ki", "1000Ki"),
        ("0.5Mi", "512Ki"),
        ("1023Ki", "1023Ki"),
        ("0.5Ki", "512"),
        ("1.1Ki", "1126400m"),
        ("2e3", "2e3"),
        ("1e4", "10e3"),
        ("1E3", "1e3"),
        ("1e-3", "1e-3"),
        ("1e0", "1"),
        ("128974848", "128974848"),
        ("129e6", "129e6"),
        ("129M", "129M"),
        ("123Mi", "123Mi"),
        ("-1", "-1"),
        ("-0.5", "-500m"),
        ("+2", "2"),
        ("1n", "1n"),
        ("1u", "1u"),
        ("0.1n", "1n"),
        ("1.0000000001", "1000000001n"),
        ("1E", "1E"),
        ("1Ei", "1Ei"),
        ("100E", "9223372036854775807"),
        ("1000000000000000000000000000000000000000", "9223372036854775807"),
        ("0.00000000000000000000000000000000000000000001", "1n"),
        ("1e-400", "1e-9"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn wrong_text_is_refused_in_the_words_of_upstream() {
    for text in ["", "a", "1 Gi", "1ki2x", "Gi", "-", "1Gi ", "--1"] {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Form), "{text}");
    }
    for text in ["1Kii", "1e", "1Mm", "1i", "1K", "1e+", "1m3"] {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Suffix), "{text}");
    }
    for text in [".", "1.2.3"] {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Number), "{text}");
    }
}

#[test]
fn amounts_convert_rounding_away_from_zero() {
    let parse = |text: &str| text.parse::<Quantity>().expect("an amount");
    assert_eq!(parse("250m").milli(), 250);
    assert_eq!(parse("250m").units(), 1);
    assert_eq!(parse("-250m").units(), -1);
    assert_eq!(parse("1u").milli(), 1);
    assert_eq!(parse("128Mi").units(), 134_217_728);
    assert!(parse("1") > parse("999m") && parse("1Ki") > parse("1k") && parse("1000m") == parse("1"));
    assert_eq!((parse("1Gi") + parse("512Mi")).to_string(), "1536Mi");
    assert_eq!((Quantity::ZERO + parse("1Gi")).to_string(), "1Gi");
    assert_eq!((parse("1") - parse("1500m")).to_string(), "-500m");
    assert_eq!(Quantity::from_bytes(1 << 30).to_string(), "1Gi");
    assert_eq!(Quantity::from_milli(1500).to_string(), "1500m");
}

proptest! {
    #[test]
    fn the_canonical_form_means_the_same_and_is_stable(
        whole in 0_u64..1_000_000_000,
        fraction in proptest::option::of("[0-9]{1,6}"),
        sign in "[+-]?",
        suffix in proptest::sample::select(vec![
            "", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E-3", "e0",
        ]),
    ) {
        let fraction = fraction.map_or(String::new(), |digits| format!(".{digits}"));
        let amount: Quantity = format!("{sign}{whole}{fraction}{suffix}").parse().unwrap();
        let text = amount.to_string();
        let again: Quantity = text.parse().unwrap();
        prop_assert_eq!(amount, again);
        prop_assert_eq!(text, again.to_string());
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,24}") {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn numeric_text_is_read_or_refused(text in "[-+]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,12}") {
        if let Ok(amount) = text.parse::<Quantity>() {
            prop_assert_eq!(amount.to_string().parse::<Quantity>(), Ok(amount));
        }
    }
}
