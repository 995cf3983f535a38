//! Carries connections from the node's network to the machine's, which have nothing in common but the file system.

use std::path::Path;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The machine's side: what comes in at `socket` goes to `address`. Ends with the runtime.
pub fn arrive(socket: &Path, address: String) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let address = address.clone();
            tokio::spawn(async move {
                if let Ok(mut to) = TcpStream::connect(address).await {
                    // A connection that breaks is what it would be without a relay.
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    });
}

/// The node's side, a process of its own: each argument is ADDRESS=SOCKET.
pub async fn leave(relays: Vec<String>) {
    let sides = relays.iter().map(|relay| {
        let (address, socket) = relay.split_once('=').unwrap();
        carry(address.to_owned(), socket.to_owned())
    });
    futures::future::join_all(sides).await;
}

async fn carry(address: String, socket: String) {
    let listener = TcpListener::bind(&address).await.unwrap();
    while let Ok((mut from, _)) = listener.accept().await {
        let socket = socket.clone();
        tokio::spawn(async move {
            if let Ok(mut to) = UnixStream::connect(socket).await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}
