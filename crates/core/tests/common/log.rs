//! What is said in the log, for tests in which that is the point.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// What is logged meanwhile on this thread, at `most` and what is graver.
pub(crate) fn heard<T>(most: tracing::Level, what: impl FnOnce() -> T) -> (String, T) {
    struct Ear(Arc<Mutex<String>>, tracing::Level);
    impl tracing::field::Visit for Ear {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
            let mut said = self.0.lock().unwrap();
            said.push_str(&format!("{field}={value:?}\n"));
        }
    }
    impl tracing::Subscriber for Ear {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= self.1
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut Self(self.0.clone(), self.1));
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let said = Arc::new(Mutex::new(String::new()));
    let result = tracing::subscriber::with_default(Ear(said.clone(), most), what);
    let said = said.lock().unwrap().clone();
    (said, result)
}
