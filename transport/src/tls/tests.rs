//! Handshakes between our two sides.

use std::io;
use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A CA and certificates of it, in files.
fn pki() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    renew(folder.path());
    folder
}

fn renew(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(
        folder.join("ca.pem"),
        params.self_signed(&key).unwrap().pem(),
    )
    .unwrap();
    let issuer = Issuer::from_params(&params, &key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn self_signed(folder: &Path, name: &str, until: i32) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn file(folder: &TempDir, name: &str) -> Option<String> {
    Some(folder.path().join(name).to_str().unwrap().to_owned())
}

fn server(folder: &TempDir) -> ServerTls {
    ServerTls {
        cert_file: file(folder, "server.pem"),
        key_file: file(folder, "server.key"),
        ..ServerTls::default()
    }
}

fn client(folder: &TempDir) -> ClientTls {
    ClientTls {
        ca_file: file(folder, "ca.pem"),
        ..ClientTls::default()
    }
}

/// Shakes hands and passes a byte both ways; the errors of both sides, client first.
async fn meet(
    client: &ClientIdentity,
    server: &ServerIdentity,
) -> (io::Result<()>, io::Result<()>) {
    let (near, far) = duplex(1 << 16);
    let acceptor = TlsAcceptor::from(server.current());
    let serve = async {
        let mut stream = acceptor.accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await
    };
    let call = async {
        let mut stream = client.connect("localhost", near).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, 7);
        Ok(())
    };
    tokio::join!(call, serve)
}

async fn shake(client: &ClientTls, server: &ServerTls) -> io::Result<()> {
    let server = ServerIdentity::load(server, &["h2"]).unwrap();
    let client = ClientIdentity::load(client, &["h2"]).unwrap();
    meet(&client, &server).await.0
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_ca_is_trusted_and_no_other() {
    let (ours, other) = (pki(), pki());
    shake(&client(&ours), &server(&ours)).await.unwrap();
    let error = shake(&client(&other), &server(&ours)).await.unwrap_err();
    assert!(hint(&error).unwrap().contains("tls.ca_file"), "{error}");
}

#[tokio::test]
async fn a_name_that_the_certificate_lacks_is_turned_away() {
    let pki = pki();
    let mut client = client(&pki);
    client.server_name_override = Some("elsewhere".to_owned());
    let error = shake(&client, &server(&pki)).await.unwrap_err();
    assert!(hint(&error).unwrap().contains("another name"), "{error}");
    client.insecure_skip_verify = true;
    shake(&client, &server(&pki)).await.unwrap();
}

#[tokio::test]
async fn pem_in_the_configuration_is_as_good_as_files() {
    let pki = pki();
    let read = |name: &str| {
        let text = std::fs::read_to_string(pki.path().join(name)).unwrap();
        Some(tidegate_document::Secret::new(text))
    };
    let client = ClientTls {
        ca_pem: read("ca.pem"),
        ..ClientTls::default()
    };
    let server = ServerTls {
        cert_pem: read("server.pem"),
        key_pem: read("server.key"),
        ..ServerTls::default()
    };
    shake(&client, &server).await.unwrap();
}

#[tokio::test]
async fn a_server_with_a_client_ca_takes_only_clients_of_it() {
    let (pki, other) = (pki(), pki());
    let mut strict = server(&pki);
    strict.client_ca_file = file(&pki, "ca.pem");
    let error = shake(&client(&pki), &strict).await.unwrap_err();
    assert!(
        hint(&error).unwrap().contains("wants a client certificate"),
        "{error}"
    );
    let mut known = client(&pki);
    known.cert_file = file(&pki, "client.pem");
    known.key_file = file(&pki, "client.key");
    shake(&known, &strict).await.unwrap();
    known.cert_file = file(&other, "client.pem");
    known.key_file = file(&other, "client.key");
    let error = shake(&known, &strict).await.unwrap_err();
    assert!(
        hint(&error).unwrap().contains("does not trust the client"),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_given_as_a_ca_is_trusted_as_the_peers_own_while_valid() {
    let pki = pki();
    self_signed(pki.path(), "server", 4000);
    self_signed(pki.path(), "client", 4000);
    let mut strict = server(&pki);
    strict.client_ca_file = file(&pki, "client.pem");
    let mut known = client(&pki);
    known.ca_file = file(&pki, "server.pem");
    known.cert_file = file(&pki, "client.pem");
    known.key_file = file(&pki, "client.key");
    shake(&known, &strict).await.unwrap();
    self_signed(pki.path(), "server", 2000);
    let error = shake(&known, &strict).await.unwrap_err();
    assert!(hint(&error).unwrap().contains("expired"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn renewed_files_are_used_without_a_restart() {
    let pki = pki();
    let hour = Some(tidegate_document::Duration::from_secs(3600));
    let (mut server, mut client) = (server(&pki), client(&pki));
    (server.reload_interval, client.reload_interval) = (hour, hour);
    server.client_ca_file = file(&pki, "ca.pem");
    client.cert_file = file(&pki, "client.pem");
    client.key_file = file(&pki, "client.key");
    let server = ServerIdentity::load(&server, &[]).unwrap();
    let client = ClientIdentity::load(&client, &[]).unwrap();
    let before = server.current();
    assert!(meet(&client, &server).await.0.is_ok());
    renew(pki.path());
    assert!(std::sync::Arc::ptr_eq(&before, &server.current()));
    tokio::time::advance(Duration::from_secs(3601)).await;
    // Both have moved to the new CA together.
    let (called, served) = meet(&client, &server).await;
    called.unwrap();
    served.unwrap();
    assert!(!std::sync::Arc::ptr_eq(&before, &server.current()));
}

#[tokio::test]
async fn versions_and_suites_are_as_narrow_as_told() {
    let pki = pki();
    let mut old = client(&pki);
    old.max_version = Some(Version::Tls12);
    let mut new = server(&pki);
    new.min_version = Some(Version::Tls13);
    let error = shake(&old, &new).await.unwrap_err();
    assert!(hint(&error).unwrap().contains("tls.min_version"), "{error}");
    new.min_version = Some(Version::Tls10);
    new.cipher_suites = vec!["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".to_owned()];
    new.curve_preferences = vec!["P384".to_owned()];
    shake(&old, &new).await.unwrap();
    old.cipher_suites = vec!["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256".to_owned()];
    assert!(shake(&old, &new).await.is_err());
}

#[test]
fn keys_that_contradict_each_other_are_named() {
    let text = |text: &str| Some(text.to_owned());
    let check = |change: &dyn Fn(&mut ClientTls)| {
        let mut tls = ClientTls::default();
        change(&mut tls);
        tls.check().unwrap_err()
    };
    let error = check(&|tls| tls.cert_file = text("a.pem"));
    assert_eq!(error.key, "key_file");
    let error = check(&|tls| tls.key_file = text("a.key"));
    assert_eq!(error.key, "cert_file");
    let error = check(&|tls| {
        tls.ca_file = text("ca.pem");
        tls.ca_pem = Some(tidegate_document::Secret::new("x"));
    });
    assert_eq!(error.key, "ca_pem");
    let error = check(&|tls| tls.max_version = Some(Version::Tls11));
    assert_eq!(error.key, "max_version");
    let error = check(&|tls| {
        tls.min_version = Some(Version::Tls13);
        tls.max_version = Some(Version::Tls12);
    });
    assert_eq!(error.key, "min_version");
    let error = check(&|tls| tls.cipher_suites = vec!["TLS_RSA_WITH_RC4_128_SHA".to_owned()]);
    assert_eq!(error.key, "cipher_suites");
    assert!(
        error
            .remedy
            .unwrap()
            .contains("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    );
    let error = check(&|tls| tls.curve_preferences = vec!["P521".to_owned()]);
    assert_eq!(error.key, "curve_preferences");
    assert_eq!(ServerTls::default().check().unwrap_err().key, "cert_file");
    // What an unset variable leaves counts as absent.
    let empty = ClientTls {
        cert_file: text(""),
        ..ClientTls::default()
    };
    empty.check().unwrap();
}

#[test]
fn files_are_read_at_the_start_and_their_faults_named() {
    let folder = pki();
    let mut tls = client(&folder);
    tls.ca_file = file(&folder, "absent.pem");
    tls.check().unwrap();
    let error = ClientIdentity::load(&tls, &[]).unwrap_err();
    assert_eq!(error.key, "ca_file");
    assert!(error.to_string().contains("absent.pem"), "{error}");
    tls.ca_file = file(&folder, "server.key");
    let error = ClientIdentity::load(&tls, &[]).unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
    let mut tls = server(&folder);
    tls.key_file = file(&folder, "client.key");
    let error = ServerIdentity::load(&tls, &[]).unwrap_err();
    assert_eq!(error.key, "key_file");
}

#[test]
fn insecure_means_plaintext_unless_a_ca_is_given() {
    let mut tls = ClientTls::default();
    assert!(!tls.is_plaintext());
    tls.insecure = true;
    assert!(tls.is_plaintext());
    tls.ca_file = Some("ca.pem".to_owned());
    assert!(!tls.is_plaintext());
}
