//! How to reach etcd.

use std::{io, path::Path, time::Duration};

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, TlsOptions};

/// The largest message taken from etcd. A page of large objects is more than gRPC's 4 MB.
pub(super) const MAX_MESSAGE: usize = 1 << 30;

/// Time to set up one connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pings of a quiet connection; etcd allows one every 5 s while a request is open.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// How to reach etcd.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// URLs of its members.
    pub endpoints: Vec<String>,
    /// Certificates, for `https` URLs.
    pub tls: Option<EtcdTls>,
    /// Whom etcd's own access control knows us as.
    pub user: Option<EtcdUser>,
    /// What all our keys begin with: what the user may read and write.
    pub root: String,
    /// How often what happened one period earlier is forgotten; `None` leaves that to others.
    pub compact_every: Option<Duration>,
}

impl EtcdOptions {
    /// Members without TLS, compacted every 5 minutes as by upstream's API server.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            user: None,
            root: "/registry".to_owned(),
            compact_every: Some(Duration::from_secs(300)),
        }
    }
}

/// A user of etcd.
#[derive(Clone)]
pub struct EtcdUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl EtcdUser {
    /// A user whose password is the first line of a file.
    pub fn read(name: &str, password: &Path) -> io::Result<Self> {
        let text =
            String::from_utf8(read(password)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Self { name: name.to_owned(), password: text.lines().next().unwrap_or_default().to_owned() })
    }
}

impl std::fmt::Debug for EtcdUser {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Certificates, all in PEM.
#[derive(Clone)]
pub struct EtcdTls {
    /// Who has signed the certificates of etcd.
    pub ca: Vec<u8>,
    /// Our own certificate and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl EtcdTls {
    /// Reads the files that the flags name.
    pub fn read(ca: &Path, identity: Option<(&Path, &Path)>) -> io::Result<Self> {
        let read_both = |(cert, key)| Ok::<_, io::Error>((read(cert)?, read(key)?));
        Ok(Self { ca: read(ca)?, identity: identity.map(read_both).transpose()? })
    }
}

impl std::fmt::Debug for EtcdTls {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdTls").field("has_identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}

/// An error that says which file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// A client of one endpoint. It connects when it is needed, which is at once when there is a user
/// to be known as; and again after a failure.
pub(super) async fn client(options: &EtcdOptions, endpoint: &str) -> Result<Client, Error> {
    let mut connect = ConnectOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
        .with_keep_alive_while_idle(false)
        // A member that lost its leader ends a watch instead of keeping it silent.
        .with_require_leader(true);
    if let Some(tls) = &options.tls {
        connect = connect.with_tls(tls_options(tls));
    }
    if let Some(EtcdUser { name, password }) = &options.user {
        connect = connect.with_user(name, password);
    }
    Client::connect([endpoint], Some(connect)).await
}

fn tls_options(tls: &EtcdTls) -> TlsOptions {
    let options = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.ca));
    match &tls.identity {
        Some((cert, key)) => options.identity(Identity::from_pem(cert, key)),
        None => options,
    }
}
