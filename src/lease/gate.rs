//! The gate in front of the API server: only a leader's writes pass.

use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::{Method, Request};
use tower::{BoxError, Layer, Service};

use super::leadership::{Leadership, NotLeading};

/// Lets reads pass always, and everything else while this process leads.
#[derive(Debug, Clone)]
pub struct Gate(pub Leadership);

/// A service behind a [`Gate`].
#[derive(Debug, Clone)]
pub struct Gated<S> {
    inner: S,
    leadership: Leadership,
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        let leadership = self.0.clone();
        Gated { inner, leadership }
    }
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads && !self.leadership.is_leading_now() {
            return ready(Err(NotLeading.into())).boxed();
        }
        let answer = self
            .inner
            .call(request)
            .map(|answer| answer.map_err(Into::into));
        if reads {
            return answer.boxed();
        }
        let leadership = self.leadership.clone();
        async move { leadership.while_leading(answer).await? }.boxed()
    }
}
