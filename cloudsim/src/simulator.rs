//! A running simulator, for tests and for the binary.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::future;
use jiff::SignedDuration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::cloud::{Cloud, CloudError, ParameterInfo};
use crate::fault::{ActiveFault, Fault};
use crate::hidden::Hidden;
use crate::instance::{Certified, KmsInstance};
use crate::ledger::{Filter, LedgerView};
use crate::seed::{OidcProvider, Parameter, Role, Seed, SeedError};
use crate::server::{self, Options};

mod identity;
mod kms;
mod tencent;

pub use tencent::Tencent;

/// A simulator that runs until it is dropped.
///
/// It has a thread and a runtime of its own: it outlives the runtime of the test that started it, and a test
/// that stops its clock does not stop the clouds'.
#[derive(Debug)]
pub struct Simulator {
    cloud: Arc<Cloud>,
    address: SocketAddr,
    instance: Option<KmsInstance>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a simulator cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The seed is not usable.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificates of the dedicated instance cannot be made.
    #[error("cannot make certificates: {0}")]
    Tls(io::Error),
    /// The thread or its runtime cannot be made.
    #[error("cannot start the server's thread: {0}")]
    Thread(io::Error),
    /// The operation is not possible.
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), Error> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| Error::Listen { address, source })
}

// === impl Error ===

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

// === impl Simulator ===

impl Simulator {
    /// Starts a simulator from a [`Seed`] or its YAML, and returns when it answers.
    pub async fn start<S>(seed: S, options: Options) -> Result<Self, Error>
    where
        S: TryInto<Seed>,
        Error: From<S::Error>,
    {
        let seed = seed.try_into()?;
        seed.check()?;
        let Options {
            listen,
            latency,
            oidc_ca_pem,
            kms_instance,
            clock,
        } = options;
        let (listener, address) = bind(listen)?;
        let (mut instance, mut secure) = (None, None);
        if let Some(options) = &kms_instance {
            let (listener, address) = bind(options.listen)?;
            let Certified { acceptor, ca_pem } = Certified::new(options).map_err(Error::Tls)?;
            instance = Some(KmsInstance::new(options, address, ca_pem));
            secure = Some((listener, acceptor));
        }
        let mut cloud = Cloud::new(&seed, latency, oidc_ca_pem, clock);
        cloud.instance.clone_from(&instance);
        let cloud = Arc::new(cloud);

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let state = cloud.clone();
        let run = move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener);
                let secure = secure.map(|(listener, acceptor)| {
                    TcpListener::from_std(listener).map(|listener| (listener, acceptor))
                });
                let (listener, secure) = match (listener, secure.transpose()) {
                    (Ok(listener), Ok(secure)) => (listener, secure),
                    (Err(error), _) | (_, Err(error)) => return drop(ready.send(Err(error))),
                };
                let _ = ready.send(Ok(()));
                let secure = async {
                    match secure {
                        Some((listener, tls)) => {
                            server::serve(listener, state.clone(), Some(tls)).await;
                        }
                        None => future::pending().await,
                    }
                };
                tokio::select! {
                    () = server::serve(listener, state.clone(), None) => {}
                    () = secure => {}
                    _ = stopped => {}
                }
            });
            // A name lookup that is under way must not hold up whoever drops the simulator.
            runtime.shutdown_timeout(Duration::from_millis(100));
        };
        let thread = thread::Builder::new()
            .name("cloudsim".to_owned())
            .spawn(run)
            .map_err(Error::Thread)?;
        match started.await {
            Ok(Ok(())) => Ok(Self {
                cloud,
                address,
                instance,
                stop: Some(stop),
                thread: Some(thread),
            }),
            Ok(Err(source)) => Err(Error::Listen {
                address: listen,
                source,
            }),
            Err(_) => Err(Error::Thread(io::Error::other("it ended at once"))),
        }
    }

    /// The URL of every service, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The dedicated instance of KMS, if the options ask for one.
    pub fn kms_instance(&self) -> Option<&KmsInstance> {
        self.instance.as_ref()
    }

    /// Adds a version to a parameter of the first account in the seed's region, or makes the parameter.
    /// Returns the version's number.
    pub fn put_parameter(&self, name: &str, value: &str) -> Result<usize, CloudError> {
        self.cloud
            .put_parameter(None, None, name, Hidden::from(value))
    }

    /// Adds a version to a parameter of any account and region.
    pub fn put_parameter_in(
        &self,
        account: &str,
        region: &str,
        name: &str,
        value: &str,
    ) -> Result<usize, CloudError> {
        self.cloud
            .put_parameter(Some(account), Some(region), name, Hidden::from(value))
    }

    /// Deletes a parameter of the first account in the seed's region, with all its versions.
    pub fn delete_parameter(&self, name: &str) -> Result<(), CloudError> {
        self.cloud.delete_parameter(None, None, name)
    }

    /// Adds a version to a plain parameter of the first account, or makes it. Returns the version's number.
    pub fn put_plain_parameter(&self, parameter: Parameter) -> Result<usize, CloudError> {
        self.cloud.put_plain_parameter(None, parameter)
    }

    /// Deletes a plain parameter of the first account in the seed's region, with all its versions.
    pub fn delete_plain_parameter(&self, name: &str) -> Result<(), CloudError> {
        self.cloud.delete_plain_parameter(None, None, name)
    }

    /// All secret parameters, without values.
    pub fn parameters(&self) -> Vec<ParameterInfo> {
        self.cloud.list_parameters()
    }

    /// Adds or replaces a long-lived key: of a user of the first account, or of the account itself.
    pub fn put_key(&self, user: Option<&str>, id: &str, secret: &str) -> Result<(), CloudError> {
        self.cloud.put_key(None, user, id, &Hidden::from(secret))
    }

    /// Revokes an access key, long-lived or issued.
    pub fn revoke_key(&self, id: &str) -> Result<(), CloudError> {
        self.cloud.set_revoked(id, true)
    }

    /// Takes a revocation back.
    pub fn restore_key(&self, id: &str) -> Result<(), CloudError> {
        self.cloud.set_revoked(id, false)
    }

    /// Revokes all living sessions of a role (ARN, or name in the first account); returns how many.
    pub fn revoke_sessions(&self, role: &str) -> Result<usize, CloudError> {
        self.cloud.revoke_sessions(None, role)
    }

    /// Adds or replaces a role of the first account; returns its ARN. Living sessions get the new rules.
    pub fn put_role(&self, role: Role) -> Result<String, CloudError> {
        self.cloud.put_role(None, role)
    }

    /// Deletes a role (ARN, or name in the first account). Its sessions may then do nothing.
    pub fn delete_role(&self, role: &str) -> Result<(), CloudError> {
        self.cloud.delete_role(None, role)
    }

    /// Adds or replaces an OIDC provider of the first account; returns its ARN.
    pub fn put_oidc_provider(&self, provider: OidcProvider) -> Result<String, CloudError> {
        self.cloud.put_provider(None, provider)
    }

    /// Deletes an OIDC provider (ARN, or name in the first account).
    pub fn delete_oidc_provider(&self, provider: &str) -> Result<(), CloudError> {
        self.cloud.delete_provider(None, provider)
    }

    /// Overrides how long credentials live that are issued from now on; `None` ends that.
    pub fn set_credential_lifetime(&self, lifetime: Option<SignedDuration>) {
        self.cloud.set_credential_lifetime(lifetime);
    }

    /// Puts a fault in force; returns its number.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.cloud.faults.write().add(fault)
    }

    /// The faults in force. Those whose count is used up are gone.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.cloud.faults.read().list().to_vec()
    }

    /// Clears one fault; `false` if it is not in force any more.
    pub fn clear_fault(&self, id: u64) -> bool {
        self.cloud.faults.write().remove(id)
    }

    /// Clears all faults.
    pub fn clear_faults(&self) {
        self.cloud.faults.write().clear();
    }

    /// What the ledger says about all calls.
    pub fn ledger(&self) -> LedgerView {
        self.ledger_of(&Filter::default())
    }

    /// What the ledger says about some calls.
    pub fn ledger_of(&self, filter: &Filter) -> LedgerView {
        self.cloud.ledger.read().view(filter)
    }

    /// Forgets all calls.
    pub fn reset_ledger(&self) {
        self.cloud.ledger.write().reset();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Once the thread is gone, the port is free and every connection closed.
            let _ = thread.join();
        }
    }
}
