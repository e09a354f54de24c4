//! What a command needs time for: it is done beside the network, and its outcome comes back.

use std::future::Future;

use ropewalk_core::BoxFuture;

use super::turn::Turn;

/// Something under way for a client. Its commands wait meanwhile, so that answers keep their
/// order.
pub(crate) type Work = BoxFuture<'static, Completion>;

/// What is then to be done for that client, if it is still there.
pub struct Completion(pub(crate) Box<dyn FnOnce(&mut Turn<'_>) + Send>);

impl std::fmt::Debug for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Completion")
    }
}

/// Work whose outcome is given to `then`.
pub(crate) fn work<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    then: impl FnOnce(&mut Turn<'_>, T) + Send + 'static,
) -> Work {
    Box::pin(async move {
        let outcome = work.await;
        Completion(Box::new(move |turn| then(turn, outcome)))
    })
}
