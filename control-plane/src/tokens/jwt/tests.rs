use super::*;

fn key() -> SigningKey {
    SigningKey::new(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()).unwrap()
}

#[test]
fn what_was_signed_is_read_back() {
    let key = key();
    let claims = json!({ "sub": "somebody", "n": 1 });
    assert_eq!(key.verify(&key.sign(&claims).unwrap()), Some(claims));
}

#[test]
fn a_token_says_only_what_was_signed() {
    let (key, other) = (key(), key());
    let token = key.sign(&json!({ "sub": "somebody" })).unwrap();
    assert_eq!(other.verify(&token), None, "another key");
    let [header, claims, signature] = <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
    let encoded = |value: Value| BASE64.encode(value.to_string());
    let admin = encoded(json!({ "sub": "admin" }));
    let none = encoded(json!({ "alg": "none" }));
    let hmac = encoded(json!({ "alg": "HS256", "kid": key.id }));
    for forged in [
        format!("{header}.{admin}.{signature}"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{hmac}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{}", BASE64.encode([0; 64])),
        "..".to_owned(),
        String::new(),
        "a".repeat(LIMIT + 1),
    ] {
        assert_eq!(key.verify(&forged), None, "{forged}");
    }
}

#[test]
fn the_published_key_is_the_one_that_signs() {
    let key = key();
    let token = key.sign(&json!({ "a": 1 })).unwrap();
    let jwk = key.to_jwk();
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        point.extend(BASE64.decode(jwk[coordinate].as_str().unwrap()).unwrap());
    }
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
    public.verify(signed.as_bytes(), &BASE64.decode(signature).unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&BASE64.decode(signed.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["kid"], &header["alg"]), (&jwk["kid"], &json!("ES256")));
}

#[test]
fn keys_of_another_kind_are_refused() {
    let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert!(matches!(SigningKey::new(&other), Err(BadKey::Kind)));
}
