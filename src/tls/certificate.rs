//! What is read out of certificates: the hash that binds a channel, and whom one names.

use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};

/// The object identifier of a subject's common name.
const COMMON_NAME: &str = "2.5.4.3";

/// Signature algorithms and the hash that RFC 5929 takes for them; MD5 and SHA-1 count as SHA-256.
const HASHES: [(&str, Hash); 9] = [
    ("1.2.840.113549.1.1.4", Hash::Sha256),
    ("1.2.840.113549.1.1.5", Hash::Sha256),
    ("1.2.840.113549.1.1.11", Hash::Sha256),
    ("1.2.840.113549.1.1.12", Hash::Sha384),
    ("1.2.840.113549.1.1.13", Hash::Sha512),
    ("1.2.840.10045.4.1", Hash::Sha256),
    ("1.2.840.10045.4.3.2", Hash::Sha256),
    ("1.2.840.10045.4.3.3", Hash::Sha384),
    ("1.2.840.10045.4.3.4", Hash::Sha512),
];

#[derive(Debug, Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Returns the `tls-server-end-point` of a server's certificate (RFC 5929); `None` where its signature has no one hash.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let algorithm = parsed.signature_algorithm.oid.to_string();
    let (_, hash) = HASHES.into_iter().find(|(known, _)| *known == algorithm)?;
    Some(match hash {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

/// Returns the common name of a certificate's subject, the last if it has several.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let mut parts = parsed.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let named = parts.rfind(|part| part.oid.to_string() == COMMON_NAME)?;
    let utf8 = named.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    let printable = || named.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
    // A zero byte in a name has fooled readers before.
    utf8.or_else(|_| printable()).ok().filter(|name| !name.contains('\0'))
}
