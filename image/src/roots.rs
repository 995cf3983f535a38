//! The root certificates that the image trusts: Mozilla's, as Cargo.lock pins them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// All of them, in PEM.
pub fn pem() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, remainder) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = remainder;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_certificates_as_mozilla_trusts() {
        let pem = pem();
        let count = pem.matches("-----BEGIN CERTIFICATE-----").count();
        assert_eq!(count, webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(count > 100, "{count}");
        assert!(pem.lines().all(|line| line.len() <= 64));
    }
}
