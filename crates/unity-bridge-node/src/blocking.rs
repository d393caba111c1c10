//! Work that waits for the middleware, away from the thread of the connections.

use tokio::task::spawn_blocking;

/// Lets the middleware take its time.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Ends something that the middleware has to be told of.
pub(crate) async fn end_blocking<T: Send + 'static>(ended: T) {
    blocking(move || drop(ended)).await;
}
