//! What a process is to serve: gathered from arguments, checked as a whole, then opened together.
//!
//! A server is its arguments and what they make of a [`Plan`]; so one that is alone in its process
//! and one of many in a site are the same. Nothing here opens a socket, and nothing knows a
//! protocol.

use std::{future::Future, mem, pin::Pin, sync::Arc};

use clap::Args;
use ropewalk_core::{
    DatagramOptions, DatagramProtocol, Handler, Metrics, Schemes, ServerEndpoint, ServerOptions,
    tls::TlsServer,
};

use crate::{
    failure::Failure,
    listen::{self, Beside, Reload, Servers},
    metrics::METRICS,
    options::{Common, Tls},
};

/// What listens, under the name that its listening line bears.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// Open files that one connection takes at most.
    pub(crate) files: usize,
}

/// The arguments of a subcommand that serves, without the common options.
pub(crate) trait ServerArgs: Args {
    /// Reads the files that the arguments name, and adds what is to listen, and what is wrong, to
    /// the plan.
    fn plan(self, plan: &mut Plan) -> impl Future<Output = ()>;
}

/// A server that is alone in its process: its own arguments and the common options.
#[derive(Args)]
pub(crate) struct Alone<A: ServerArgs> {
    #[command(flatten)]
    server: A,

    #[command(flatten)]
    common: Common,
}

impl<A: ServerArgs> Alone<A> {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self { server, common } = self;
        listen::run(&common.clone(), async {
            let mut plan = Plan::new(common);
            server.plan(&mut plan).await;
            // One line is enough for whoever typed one.
            match plan.check().into_iter().next() {
                Some(fault) => Err(fault.failure),
                None if plan.is_only_checked() => plan.end(),
                None => plan.serve().await,
            }
        })
    }
}

/// What is to listen, and what is wrong so far.
pub(crate) struct Plan {
    common: Common,
    /// The certificates of services that name none.
    tls: Tls,
    listeners: Vec<Planned>,
    faults: Vec<Fault>,
    origin: usize,
    /// This service's could not be read, which is said once and not for each of its listeners.
    no_certificate: bool,
    /// Opened last, when there is something to measure.
    metrics: Vec<Planned>,
    at_end: Vec<AtEnd>,
    /// What is to be done with the servers before they are announced.
    with_servers: Vec<WithServers>,
    only_checked: bool,
    /// What is measured in this process.
    numbers: Metrics,
}

/// What is wrong, and with which service.
pub(crate) struct Fault {
    /// The number of [`Plan::next_service`] calls before it.
    pub(crate) origin: usize,
    pub(crate) failure: Failure,
}

/// A listener that is not open yet.
struct Planned {
    origin: usize,
    service: Service,
    option: &'static str,
    endpoint: ServerEndpoint,
    open: Open,
}

type Open = Box<
    dyn for<'s> FnOnce(&'s mut Servers) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 's>>,
>;

type AtEnd = Box<dyn FnOnce() -> Result<(), Failure>>;

type WithServers = Box<dyn FnOnce(&mut Servers)>;

impl Plan {
    /// Nothing yet, with these options for all that comes.
    pub(crate) fn new(common: Common) -> Self {
        let metrics = common.metrics.clone();
        let account = common.user.clone();
        let mut plan = Self {
            common,
            tls: Tls::default(),
            listeners: Vec::new(),
            faults: Vec::new(),
            origin: 0,
            no_certificate: false,
            metrics: Vec::new(),
            at_end: Vec::new(),
            with_servers: Vec::new(),
            only_checked: false,
            numbers: Metrics::new(),
        };
        for endpoint in metrics {
            plan.metrics(endpoint);
        }
        if let Some(account) = account
            && let Err(error) = account.check()
        {
            let why = format!("{error}, expected an account of this system, NAME or NAME:GROUP");
            plan.fault(Failure::usage("--user", account, why));
        }
        plan
    }

    /// Adds a listener for metrics.
    fn metrics(&mut self, endpoint: ServerEndpoint) {
        let option = "--metrics";
        if endpoint.is_datagram() || endpoint.needs_certificate() {
            let why = "not for metrics, expected tcp, unix, or tls with cert=FILE";
            self.fault(Failure::usage(option, &endpoint, why));
        } else if let Err(error) = Schemes::global().check(&endpoint) {
            self.fault(Failure::listen(option, &endpoint, error));
        }
        self.metrics.push(Planned {
            origin: self.origin,
            service: METRICS,
            option,
            endpoint: endpoint.clone(),
            open: Box::new(move |servers| {
                Box::pin(async move { servers.metrics(&endpoint).await })
            }),
        });
    }

    /// Gives certificates to services that name none themselves.
    pub(crate) fn inherit_tls(&mut self, tls: Tls) {
        self.tls = tls;
    }

    /// What is added from here on belongs to the next service.
    pub(crate) fn next_service(&mut self) {
        self.origin += 1;
        self.no_certificate = false;
    }

    /// Notes what is wrong; the rest is looked at all the same.
    pub(crate) fn fault(&mut self, failure: Failure) {
        self.faults.push(Fault {
            origin: self.origin,
            failure,
        });
    }

    /// The certificates of a service: its own, or those for all.
    pub(crate) fn tls(&mut self, own: &Tls) -> Option<TlsServer> {
        let tls = match own.is_set() {
            true => own.server(),
            false => self.tls.server(),
        };
        match tls {
            Ok(tls) => tls,
            Err(failure) => {
                self.fault(failure);
                self.no_certificate = true;
                None
            }
        }
    }

    /// How a service serves, as far as the common options say.
    pub(crate) fn options(&self, tls: Option<&TlsServer>) -> ServerOptions {
        let mut options = ServerOptions::from(self.common.limits());
        options.tls = tls.cloned();
        options
    }

    /// Adds a listener for connections; `option` is where its endpoint was named.
    pub(crate) fn stream(
        &mut self,
        service: Service,
        option: &'static str,
        endpoint: &ServerEndpoint,
        handler: impl Handler,
        options: ServerOptions,
    ) {
        if endpoint.is_datagram() {
            let why = format!(
                "datagrams cannot carry {}, expected tcp, tls, unix, fd or stdio",
                service.name
            );
            return self.fault(Failure::usage(option, endpoint, why));
        }
        if endpoint.needs_certificate() && options.tls.is_none() && !self.no_certificate {
            let why = "no certificate, expected --tls-cert FILE or --tls-certs DIR, or cert=FILE in the endpoint";
            self.fault(Failure::usage(option, endpoint, why));
        }
        if let Err(error) = options.schemes.check(endpoint) {
            self.fault(Failure::listen(option, endpoint, error));
        }
        let at = endpoint.clone();
        let open: Open = Box::new(move |servers| {
            Box::pin(async move {
                let opened = servers.stream(service, option, &at, handler, options);
                opened.await.map(drop)
            })
        });
        self.add(service, option, endpoint, open);
    }

    /// Adds a listener for datagrams.
    pub(crate) fn datagrams(
        &mut self,
        service: Service,
        option: &'static str,
        endpoint: &ServerEndpoint,
        protocol: impl DatagramProtocol,
        options: DatagramOptions,
    ) {
        if let Err(error) = Schemes::global().check(endpoint) {
            self.fault(Failure::listen(option, endpoint, error));
        }
        let at = endpoint.clone();
        let open: Open = Box::new(move |servers| {
            Box::pin(async move {
                let opened = servers.datagrams(service, option, &at, protocol, options);
                opened.await.map(drop)
            })
        });
        self.add(service, option, endpoint, open);
    }

    fn add(
        &mut self,
        service: Service,
        option: &'static str,
        endpoint: &ServerEndpoint,
        open: Open,
    ) {
        self.listeners.push(Planned {
            origin: self.origin,
            service,
            option,
            endpoint: endpoint.clone(),
            open,
        });
    }

    /// What there is to say once all has ended well.
    pub(crate) fn at_end(&mut self, say: impl FnOnce() -> Result<(), Failure> + 'static) {
        self.at_end.push(Box::new(say));
    }

    /// Reads something again at SIGHUP.
    pub(crate) fn reload(
        &mut self,
        what: &'static str,
        read: impl Fn() -> Result<(), Failure> + Send + Sync + 'static,
    ) {
        let read = Arc::new(read);
        self.with_servers(move |servers| servers.reload(Reload { what, read }));
    }

    /// Does something beside serving, and something last.
    pub(crate) fn beside(
        &mut self,
        work: impl Future<Output = ()> + Send + 'static,
        last: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let (work, last) = (Box::pin(work), Box::pin(last));
        self.with_servers(move |servers| servers.beside(Beside { work, last }));
    }

    /// What is measured in this process, for a protocol that counts by itself.
    pub(crate) fn numbers(&self) -> Metrics {
        self.numbers.clone()
    }

    /// Measures something of a protocol's own.
    pub(crate) fn measure(&mut self, measure: impl FnOnce(&Metrics) + 'static) {
        self.with_servers(move |servers| measure(servers.numbers()));
    }

    fn with_servers(&mut self, what: impl FnOnce(&mut Servers) + 'static) {
        self.with_servers.push(Box::new(what));
    }

    /// Serves nothing: files that a server would write or lock are to be left alone.
    pub(crate) fn only_check(&mut self) {
        self.only_checked = true;
    }

    /// Whether nothing is to be served, but only looked at.
    pub(crate) fn is_only_checked(&self) -> bool {
        self.only_checked
    }

    /// Whether the process becomes another account once it listens.
    pub(crate) fn becomes_another(&self) -> bool {
        self.common.user.is_some()
    }

    /// Looks at everything together, once all is added, and returns all that is wrong.
    pub(crate) fn check(&mut self) -> Vec<Fault> {
        let mut faults = mem::take(&mut self.faults);
        self.listeners.append(&mut self.metrics);
        for (n, planned) in self.listeners.iter().enumerate() {
            let mut fault = |why: String| {
                faults.push(Fault {
                    origin: planned.origin,
                    failure: Failure::usage(planned.option, &planned.endpoint, why),
                });
            };
            if planned.endpoint.scheme() == "stdio" && self.listeners.len() > 1 {
                fault(
                    "one of several, expected it to be the only one, since it owns standard output"
                        .into(),
                );
                continue;
            }
            let mut before = self.listeners[..n].iter();
            if let Some(first) = before.find(|it| it.endpoint.overlaps(&planned.endpoint)) {
                fault(format!(
                    "{} {} \"{}\" has this address already, expected one that is free",
                    first.service.name,
                    first.option.trim_start_matches('-'),
                    first.endpoint
                ));
            }
        }
        faults
    }

    /// Opens everything, says so, and serves to the end.
    pub(crate) async fn serve(self) -> Result<(), Failure> {
        let mut servers = Servers::new(self.common)?;
        servers.measure_in(self.numbers);
        for planned in self.listeners {
            (planned.open)(&mut servers).await?;
        }
        for what in self.with_servers {
            what(&mut servers);
        }
        servers.serve().await?;
        end(self.at_end)
    }

    /// Says what there is to say, where nothing was to be served.
    fn end(self) -> Result<(), Failure> {
        end(self.at_end)
    }
}

fn end(say: Vec<AtEnd>) -> Result<(), Failure> {
    say.into_iter().try_for_each(|say| say())
}
