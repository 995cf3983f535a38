//! A way to the cloud that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A loopback port that leads to the cloud while it is open, and refuses connections while it is cut.
pub struct Road {
    address: SocketAddr,
    cloud: SocketAddr,
    serving: Mutex<Option<AbortHandle>>,
}

impl Road {
    /// An open road to `cloud`.
    pub async fn open(cloud: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let road = Self {
            address: listener.local_addr().unwrap(),
            cloud,
            serving: Mutex::default(),
        };
        road.serve(listener);
        Arc::new(road)
    }

    /// The URL that leads over this road.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the port and every connection over it.
    pub fn cut(&self) {
        if let Some(serving) = self.serving.lock().unwrap().take() {
            serving.abort();
        }
    }

    /// Opens the same port again.
    pub async fn mend(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        let cloud = self.cloud;
        let serving = tokio::spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut open = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                open.spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(cloud).await {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        *self.serving.lock().unwrap() = Some(serving.abort_handle());
    }
}
