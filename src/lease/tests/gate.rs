//! What only a leader may do.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::{Method, Request};
use tower::{Layer, Service};

use super::super::*;
use super::world::{World, s};
use super::{DEADLINE, MOMENT};

/// Counts requests; answers those to `/` and no others.
#[derive(Clone, Default)]
struct Server(Arc<AtomicUsize>);

impl Service<Request<()>> for Server {
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        if request.uri().path() == "/" {
            ready(Ok(())).boxed()
        } else {
            pending().boxed()
        }
    }
}

async fn send(
    gated: &mut impl Service<Request<()>, Error = tower::BoxError>,
    method: Method,
) -> bool {
    let mut request = Request::new(());
    *request.method_mut() = method;
    gated.call(request).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn reads_always_pass_and_writes_only_while_this_process_leads() {
    let world = World::new();
    let mut process = world.process("a");
    let server = Server::default();
    let mut gated = Gate(process.leadership.clone()).layer(server.clone());
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    for method in &writes {
        assert!(!send(&mut gated, method.clone()).await, "{method} passed");
    }
    assert_eq!(server.0.load(Ordering::Relaxed), 0, "nothing left");
    assert!(send(&mut gated, Method::GET).await);
    process.start();
    world.pass(MOMENT).await;
    for method in &writes {
        assert!(send(&mut gated, method.clone()).await, "{method}");
    }
    // Stopped for longer than it may lead.
    process.freeze();
    world.pass(DEADLINE + MOMENT).await;
    assert!(!send(&mut gated, Method::POST).await);
    assert!(send(&mut gated, Method::GET).await);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_under_way_is_dropped_with_the_leadership() {
    let world = World::new();
    let mut process = world.process("a");
    let server = Server::default();
    let mut gated = Gate(process.leadership.clone()).layer(server.clone());
    process.start();
    world.pass(MOMENT).await;
    let write = |method| {
        let mut request = Request::new(());
        (*request.method_mut(), *request.uri_mut()) = (method, "/never".parse().unwrap());
        tokio::spawn(gated.call(request))
    };
    let [write, read] = [Method::POST, Method::GET].map(write);
    world.pass(s(60)).await;
    assert!(!write.is_finished());
    process.stop().await;
    let error = write.await.unwrap().unwrap_err();
    assert!(error.is::<NotLeading>(), "{error}");
    assert_eq!(server.0.load(Ordering::Relaxed), 2);
    assert!(!read.is_finished());
    read.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_closes_the_gate() {
    let world = World::new();
    let mut process = world.process("a");
    process.start();
    world.pass(MOMENT).await;
    assert!(process.leads());
    // As after a sleep of the machine, which the other clock does not show.
    process.clock().set(60);
    assert!(!process.leads());
    process.clock().set(-60);
    assert!(process.leads());
}

#[tokio::test]
async fn a_program_without_others_beside_it_always_leads() {
    let leadership = Leadership::always();
    assert!(leadership.is_leading_now());
    assert_eq!(leadership.while_leading(async { 7 }).await, Ok(7));
}
