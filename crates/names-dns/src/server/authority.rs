//! An authority: zones, and how they are served.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use ropewalk_core::{DatagramOptions, Handler, Limits, protocol};

use super::{AuthorityDatagrams, AuthorityOptions, Via, responder::Responder, stream::Stream};
use crate::zone::Zones;

/// Serves zones to whoever asks: over datagrams by [`datagrams`](Self::datagrams),
/// over TCP and TLS by [`handler`](Self::handler). Clones are the same
/// authority.
///
/// Zones are replaced in [`Zones`] at any time; each request is answered from
/// those that are there when it is read, and none is lost.
///
/// ```no_run
/// use ropewalk_core::{ServerEndpoint, Services, service::listen};
/// use ropewalk_names_dns::{server::{Authority, AuthorityOptions}, zone::Zones};
///
/// # async fn serve(zones: Zones) -> ropewalk_core::Result {
/// let authority = Authority::new(zones, AuthorityOptions::default());
/// let udp: ServerEndpoint = "udp:5300".parse()?;
/// let udp = udp.listen_datagrams_with(authority.datagrams(), authority.datagram_options()).await?;
/// let tcp: ServerEndpoint = "tcp:5300".parse()?;
/// let tcp = tcp.listen_with(authority.handler(), authority.limits()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Authority(Arc<Shared>);

struct Shared {
    zones: Zones,
    options: Arc<AuthorityOptions>,
    /// What streams answer with, as many as there are threads to do so: each
    /// has its own answers ready.
    lanes: Box<[Mutex<Option<Responder>>]>,
}

impl Authority {
    /// An authority for these zones.
    pub fn new(zones: Zones, options: AuthorityOptions) -> Self {
        let lanes = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            zones,
            options: Arc::new(options),
            lanes: (0..lanes).map(|_| Mutex::default()).collect(),
        }))
    }

    /// Its zones.
    pub fn zones(&self) -> &Zones {
        &self.0.zones
    }

    /// How it answers.
    pub fn options(&self) -> &AuthorityOptions {
        &self.0.options
    }

    /// What answers datagrams, for one socket. Several sockets of one port, each
    /// on a thread of its own (`udp:…:reuse-port`), take one each.
    pub fn datagrams(&self) -> AuthorityDatagrams {
        AuthorityDatagrams {
            responder: self.responder(),
        }
    }

    /// What serves connections: TCP, and TLS where the endpoint says so.
    pub fn handler(&self) -> impl Handler + use<> {
        let authority = self.clone();
        protocol(move |peer| {
            #[cfg(feature = "tls")]
            let via = match peer.tls.is_some() {
                true => Via::Tls,
                false => Via::Tcp,
            };
            #[cfg(not(feature = "tls"))]
            let via = {
                let _ = peer;
                Via::Tcp
            };
            Stream::new(authority.clone(), via)
        })
    }

    /// What suits its datagrams: requests are short, so that many come in one
    /// system call.
    pub fn datagram_options(&self) -> DatagramOptions {
        let mut options = DatagramOptions::default();
        options.largest = LONGEST_REQUEST;
        options.service = "dns".into();
        options.metrics = self.options().metrics.clone();
        options
    }

    /// What suits its connections: those of [`Limits::default`], of which a
    /// silent one is closed after [`AuthorityOptions::idle`] anyway.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        // One whole message and the next one's length.
        limits.unread = 128 * 1024;
        limits
    }

    /// One of those that streams answer with, for as long as this is held.
    pub(super) fn lane(&self) -> Lane<'_> {
        let lanes = &self.0.lanes;
        // A thread comes back to the one whose answers it made ready.
        thread_local! {
            static PLACE: usize = {
                use std::hash::{BuildHasher, RandomState};
                usize::try_from(RandomState::new().hash_one(thread::current().id()) >> 33).unwrap_or(0)
            };
        }
        let first = PLACE.with(|place| *place) % lanes.len();
        let free = (0..lanes.len())
            .map(|step| &lanes[(first + step) % lanes.len()])
            .find_map(|lane| lane.try_lock().ok());
        let mut guard =
            free.unwrap_or_else(|| lanes[first].lock().unwrap_or_else(PoisonError::into_inner));
        guard.get_or_insert_with(|| self.responder());
        Lane(guard)
    }

    fn responder(&self) -> Responder {
        let now = tokio::time::Instant::now().into_std();
        Responder::new(self.0.options.clone(), self.0.zones.view(), now)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("zones", &self.0.zones)
            .finish_non_exhaustive()
    }
}

/// A responder that is held.
pub(super) struct Lane<'a>(MutexGuard<'a, Option<Responder>>);

impl std::ops::Deref for Lane<'_> {
    type Target = Responder;

    fn deref(&self) -> &Responder {
        self.0.as_ref().expect("a lane is held with its responder")
    }
}

impl std::ops::DerefMut for Lane<'_> {
    fn deref_mut(&mut self) -> &mut Responder {
        self.0.as_mut().expect("a lane is held with its responder")
    }
}

/// The longest request that is taken over UDP: an UPDATE may be long.
const LONGEST_REQUEST: usize = 4095;
