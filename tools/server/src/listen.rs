//! Sockets.

use std::fmt;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::connections::Connections;
use crate::error::ServeError;
use crate::settings::ServeSettings;
use crate::tls;

/// Pause after a failed accept, such as when no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(50);

/// The addresses of a server.
pub(crate) struct Sockets {
    tcp: Option<(TcpListener, Option<TlsAcceptor>)>,
    #[cfg(unix)]
    unix: Option<UnixSocket>,
}

impl Sockets {
    /// Binds the addresses.
    ///
    /// # Errors
    /// Names the address that cannot be bound.
    pub(crate) async fn bind(settings: &ServeSettings) -> Result<Sockets, ServeError> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let tcp = match &settings.listen {
            None => None,
            Some(address) => {
                let listener =
                    TcpListener::bind(address)
                        .await
                        .map_err(|source| ServeError::Io {
                            what: format!("listening on {address}"),
                            source,
                        })?;
                Some((listener, tls))
            }
        };
        #[cfg(unix)]
        let unix = settings.unix.as_deref().map(UnixSocket::bind).transpose()?;
        #[cfg(not(unix))]
        if settings.unix.is_some() {
            let message = "unix: this system has no Unix sockets";
            return Err(ServeError::Config(message.to_owned()));
        }
        Ok(Sockets {
            tcp,
            #[cfg(unix)]
            unix,
        })
    }

    /// The TCP address, if any.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.0.local_addr().ok()
    }

    /// Accepts connections forever.
    pub(crate) async fn accept(&self, routes: &Router, connections: &Connections) {
        loop {
            tokio::select! {
                accepted = self.accept_tcp() => match accepted {
                    Ok((stream, tls)) => {
                        let permit = connections.permit().await;
                        connections.spawn(stream, tls, routes.clone(), permit);
                    }
                    Err(e) => failed(&e).await,
                },
                accepted = self.accept_unix() => match accepted {
                    Ok(stream) => {
                        let permit = connections.permit().await;
                        connections.spawn(stream, None, routes.clone(), permit);
                    }
                    Err(e) => failed(&e).await,
                },
            }
        }
    }

    async fn accept_tcp(&self) -> std::io::Result<(tokio::net::TcpStream, Option<TlsAcceptor>)> {
        let Some((listener, tls)) = &self.tcp else {
            return std::future::pending().await;
        };
        let (stream, _) = listener.accept().await?;
        // Responses are written whole, so delaying packets gains nothing.
        stream.set_nodelay(true)?;
        Ok((stream, tls.clone()))
    }

    #[cfg(unix)]
    async fn accept_unix(&self) -> std::io::Result<tokio::net::UnixStream> {
        match &self.unix {
            Some(socket) => Ok(socket.listener.accept().await?.0),
            None => std::future::pending().await,
        }
    }

    #[cfg(not(unix))]
    async fn accept_unix(&self) -> std::io::Result<tokio::net::TcpStream> {
        std::future::pending().await
    }
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = false;
        if let (Some((_, tls)), Some(address)) = (&self.tcp, self.address()) {
            let scheme = if tls.is_some() { "https" } else { "http" };
            write!(f, "{scheme}://{address}")?;
            written = true;
        }
        #[cfg(unix)]
        if let Some(socket) = &self.unix {
            let and = if written { " and " } else { "" };
            write!(f, "{and}{}", socket.path.display())?;
        }
        Ok(())
    }
}

async fn failed(error: &std::io::Error) {
    tracing::warn!("accepting a connection: {error}");
    tokio::time::sleep(PAUSE).await;
}

#[cfg(unix)]
struct UnixSocket {
    listener: tokio::net::UnixListener,
    path: PathBuf,
}

#[cfg(unix)]
impl UnixSocket {
    fn bind(path: &Path) -> Result<UnixSocket, ServeError> {
        use std::os::unix::fs::PermissionsExt;
        let bound = match tokio::net::UnixListener::bind(path) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && abandoned(path) => {
                std::fs::remove_file(path).and_then(|()| tokio::net::UnixListener::bind(path))
            }
            bound => bound,
        };
        let readable = std::fs::Permissions::from_mode(0o660);
        let listener = bound
            .and_then(|listener| std::fs::set_permissions(path, readable).map(|()| listener))
            .map_err(|source| ServeError::Io {
                what: format!("listening on {}", path.display()),
                source,
            })?;
        Ok(UnixSocket {
            listener,
            path: path.to_owned(),
        })
    }
}

/// Whether this is a socket left by a killed server: nobody answers on it.
#[cfg(unix)]
fn abandoned(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    let refused = |e: std::io::Error| e.kind() == std::io::ErrorKind::ConnectionRefused;
    socket && std::os::unix::net::UnixStream::connect(path).is_err_and(refused)
}

#[cfg(unix)]
impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Already removed is fine.
        let _ = std::fs::remove_file(&self.path);
    }
}
