//! A cluster: started by us, or one that runs already.

use crate::certificates::{Certificates, write_private};
use crate::error::Error;
use crate::kubeconfig::{self, Credential};
use crate::lookup::Source;
use crate::plane::{self, Plane};
use crate::programs::{Programs, environment};
use crate::report::say;
use crate::{bootstrap, cache};
use kube::config::Kubeconfig;
use kube::{Client, Config};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;

/// What a cluster is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Run kube-controller-manager too: garbage collection, namespace deletion, default service accounts.
    pub controllers: bool,
    /// Run what Pods need too: the scheduler and the controllers of nodes and Deployments. It implies `controllers`; a kubelet
    /// joins with [`Cluster::node_kubeconfig`].
    pub workloads: bool,
    /// Where its files go; without it, in a temporary directory that goes with the cluster.
    pub dir: Option<PathBuf>,
    /// CRDs to install before the controllers start, as YAML text.
    pub crds: Option<String>,
}

/// A running cluster. One that this process started ends with it, at the latest.
#[derive(Debug)]
pub struct Cluster {
    plane: Option<Mutex<Plane>>,
    config: Config,
    kubeconfig_path: PathBuf,
    ca_pem: Vec<u8>,
    ca_path: PathBuf,
    server: String,
    issuer: String,
    // After the plane, so that the processes are gone when their files go.
    _dir: Directory,
}

#[derive(Debug)]
enum Directory {
    Temporary { _dir: tempfile::TempDir },
    Given { _lock: File },
    None,
}

// === impl Options ===

impl Options {
    /// A bare API server and etcd, or with controllers.
    pub fn new(controllers: bool) -> Self {
        Self {
            controllers,
            ..Self::default()
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// The cluster that the environment names (`USE_EXISTING_CLUSTER=true` and `KUBECONFIG`), or else a new one.
    pub async fn connect_or_start(options: Options) -> Result<Self, Error> {
        let (environment, _) = environment()?;
        match environment.cluster(&[], Path::exists)? {
            source @ Source::Existing { .. } => {
                say(format_args!("{source}"));
                Self::existing(&options).await
            }
            _ => Self::start(options).await,
        }
    }

    /// Starts a cluster of our own, whatever `USE_EXISTING_CLUSTER` says.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (environment, root) = environment()?;
        let programs =
            Programs::provide(&environment, options.controllers, options.workloads).await?;

        let (dir, holder) = directory(options.dir.as_deref())?;
        let certificates = generate().await?;
        certificates.write(&dir)?;
        let scratch = matches!(holder, Directory::Temporary { .. }).then_some(dir.as_path());
        let mut attempt = 1;
        let plane = loop {
            plane::clear(&dir)?;
            match Plane::start(
                &dir,
                scratch,
                programs.clone(),
                &certificates,
                &root.join("ports"),
            )
            .await
            {
                Err(error) if error.is_port_taken() && attempt < plane::ATTEMPTS => attempt += 1,
                other => break other?,
            }
        };

        let server = plane.server();
        let credential = Credential::Certificate(&certificates.admin);
        let text = kubeconfig::render(&server, &certificates.ca, "admin", &credential, "default")?;
        let kubeconfig_path = dir.join("kubeconfig");
        write_private(&kubeconfig_path, &text)?;
        let cluster = Self {
            plane: Some(Mutex::new(plane)),
            config: kubeconfig::config(Kubeconfig::from_yaml(&text)?).await?,
            kubeconfig_path,
            ca_path: dir.join("ca.crt"),
            ca_pem: certificates.ca.into_bytes(),
            issuer: server.clone(),
            server,
            _dir: holder,
        };
        cluster.prepare(&options).await?;
        Ok(cluster)
    }

    async fn prepare(&self, options: &Options) -> Result<(), Error> {
        let client = self.client()?;
        bootstrap::default_namespace(&client).await?;
        bootstrap::public_issuer(&client).await?;
        if let Some(crds) = &options.crds {
            self.apply_crds(crds).await?;
        }
        if let Some(plane) = &self.plane {
            plane.lock().await.start_controllers().await?;
        }
        Ok(())
    }

    /// The cluster that `devcluster up --dir DIR` runs. It is not ours to stop.
    pub async fn connect(dir: &Path) -> Result<Self, Error> {
        let (kubeconfig_path, ca_path) = (dir.join("kubeconfig"), dir.join("ca.crt"));
        let ca_pem = fs::read(&ca_path).map_err(Error::io("read", &ca_path))?;
        let config = kubeconfig::config(Kubeconfig::read_from(&kubeconfig_path)?).await?;
        Ok(Self {
            plane: None,
            issuer: bootstrap::issuer(&kubeconfig::client(&config)?).await?,
            server: address(&config),
            config,
            kubeconfig_path,
            ca_pem,
            ca_path,
            _dir: Directory::None,
        })
    }

    async fn existing(options: &Options) -> Result<Self, Error> {
        let kubeconfig = Kubeconfig::from_env()?.ok_or(Error::ExistingWithoutKubeconfig)?;
        let config = kubeconfig::config(kubeconfig).await?;
        let client = kubeconfig::client(&config)?;
        let ca_pem = bootstrap::certificate_authority(&config);
        let (_, root) = environment()?;
        let ca_path = cache::store_certificate(&root, &ca_pem)?;
        let cluster = Self {
            plane: None,
            issuer: bootstrap::issuer(&client).await?,
            server: address(&config),
            kubeconfig_path: std::env::var_os("KUBECONFIG")
                .map(PathBuf::from)
                .unwrap_or_default(),
            config,
            ca_pem,
            ca_path,
            _dir: Directory::None,
        };
        if let Some(crds) = &options.crds {
            cluster.apply_crds(crds).await?;
        }
        Ok(cluster)
    }

    /// A new administrator's client, which belongs to the current runtime.
    pub fn client(&self) -> Result<Client, Error> {
        kubeconfig::client(&self.config)
    }

    /// The administrator's client configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig_path
    }

    /// The kubeconfig of the kubelet of the node [`NODE`](crate::NODE).
    pub fn node_kubeconfig(&self) -> Result<PathBuf, Error> {
        let dir = self.kubeconfig_path.parent();
        let path = dir.map(|dir| dir.join(plane::KUBELET));
        path.filter(|path| path.is_file()).ok_or(Error::NotOurs)
    }

    /// The API server's URL.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The service-account issuer, whose discovery document and keys anyone may read.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The CA of the API server and of the issuer, in PEM.
    pub fn ca_pem(&self) -> &[u8] {
        &self.ca_pem
    }

    /// A file with [`Cluster::ca_pem`].
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// The processes of a cluster of our own, by name.
    pub async fn process_ids(&self) -> Vec<(&'static str, u32)> {
        match &self.plane {
            Some(plane) => plane.lock().await.process_ids(),
            None => Vec::new(),
        }
    }

    /// An error if a process of the control plane has ended by itself.
    pub async fn check(&self) -> Result<(), Error> {
        match &self.plane {
            Some(plane) => plane.lock().await.check(),
            None => Ok(()),
        }
    }

    /// Takes the API server away. Everything else, its port included, stays as it is.
    pub async fn stop_apiserver(&self) -> Result<(), Error> {
        self.plane()?.lock().await.stop_apiserver().await;
        Ok(())
    }

    /// Brings the API server back, on the same port and with the same data.
    pub async fn start_apiserver(&self) -> Result<(), Error> {
        self.plane()?.lock().await.start_apiserver().await
    }

    /// From now on etcd refuses every write but deletions, because its space is used up.
    pub async fn fill_etcd(&self) -> Result<(), Error> {
        self.plane()?.lock().await.set_etcd_full(true).await
    }

    /// From now on etcd takes writes again.
    pub async fn drain_etcd(&self) -> Result<(), Error> {
        self.plane()?.lock().await.set_etcd_full(false).await
    }

    /// Stops the controllers, then the API server, then etcd. A cluster that is not ours goes on.
    pub async fn stop(self) {
        if let Some(plane) = &self.plane {
            plane.lock().await.stop().await;
        }
    }

    /// Lets controllers that run already see what is new.
    pub(crate) async fn restart_controllers(&self) -> Result<(), Error> {
        match &self.plane {
            Some(plane) => plane.lock().await.restart_controllers().await,
            None => Ok(()),
        }
    }

    fn plane(&self) -> Result<&Mutex<Plane>, Error> {
        self.plane.as_ref().ok_or(Error::NotOurs)
    }
}

fn address(config: &Config) -> String {
    let url = config.cluster_url.to_string();
    url.trim_end_matches('/').to_owned()
}

fn directory(given: Option<&Path>) -> Result<(PathBuf, Directory), Error> {
    let Some(dir) = given else {
        let temporary = tempfile::Builder::new()
            .prefix("devcluster-")
            .tempdir()
            .map_err(Error::io("create in", &std::env::temp_dir()))?;
        return Ok((
            temporary.path().to_path_buf(),
            Directory::Temporary { _dir: temporary },
        ));
    };
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let dir = dir.canonicalize().map_err(Error::io("find", dir))?;
    let path = dir.join("lock");
    let lock = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    lock.try_lock()
        .map_err(|_| Error::DirectoryInUse(dir.clone()))?;
    plane::clear(&dir)?;
    Ok((dir, Directory::Given { _lock: lock }))
}

async fn generate() -> Result<Certificates, Error> {
    tokio::task::spawn_blocking(Certificates::generate)
        .await
        .unwrap_or_else(|error| Err(Error::ServiceAccountKey(error.to_string())))
}
