//! `ropewalk dns`: zones of files, zones of other servers, or what other servers say.
//!
//! The servers are of `ropewalk-names-dns`. Here are the arguments (`spec`), and the files of zones
//! that they name, read at the start, by `--check` and at SIGHUP (`files`).

mod files;
mod spec;

use std::{future::ready, path::PathBuf, sync::Arc};

use clap::Args;
use files::Files;
use ropewalk_core::{
    ConnectOptions, ServerEndpoint, Service as _, Services, endpoint::Network, wall_clock,
};
use ropewalk_names_dns::{
    client::{Resolver, Upstream},
    forward::{Forwarder, ForwarderOptions},
    proto::{Class, Name, tsig::Keys},
    server::{
        Authority, AuthorityOptions,
        replication::{
            Grant, Notifier, NotifierOptions, Remote, Secondaries, Secondary, SecondaryOptions,
            SecondaryState, TransferOptions, Transfers,
        },
    },
    zone::{Entry, Zones},
};
use spec::{KeyFile, RemoteSpec, SecondarySpec, ZoneFile};

use crate::{
    failure::Failure,
    options::Tls,
    plan::{Plan, ServerArgs, Service},
};

pub(crate) const DNS: Service = Service {
    name: "dns",
    files: 1,
};

/// The arguments of `ropewalk dns`.
#[derive(Args)]
pub(crate) struct DnsServer {
    /// Where to listen: udp:PORT and tcp:PORT (loopback; interface=* for all), tls:PORT for DNS over
    /// TLS, unix:PATH; may be repeated
    #[arg(long, value_name = "ENDPOINT", required_unless_present = "check")]
    listen: Vec<ServerEndpoint>,

    /// A zone and its file, as in example.org=/etc/zones/example.org; may be repeated
    #[arg(long, value_name = "ORIGIN=FILE", value_parser = spec::zone)]
    zone: Vec<ZoneFile>,

    /// A zone that other servers have, and their addresses: example.org=192.0.2.1,[2001:db8::1]:5300,
    /// or an endpoint such as tls:ns1.example.org:853; KEY@ before one names the key of --tsig-key
    /// that it is asked with; may be repeated
    #[arg(long, value_name = "ORIGIN=ADDR,…", value_parser = spec::secondary)]
    secondary: Vec<SecondarySpec>,

    /// A server that is asked for whatever is asked: 9.9.9.9, tls:dns.example:853,
    /// https://dns.example/dns-query; answers are kept. Not beside --zone or --secondary; may be
    /// repeated
    #[arg(long, value_name = "ADDR")]
    forward: Vec<Upstream>,

    /// Who may ask what --forward answers: an address, or a network such as 192.0.2.0/24; may be
    /// repeated [default: this machine, and private networks]
    #[arg(long, value_name = "NET", value_parser = spec::network)]
    allow_forward: Vec<Network>,

    /// A key that transfers are signed with (TSIG), and its file, as tsig-keygen or keymgr -t write
    /// it; may be repeated. If there is one alone, it is used with every --secondary and --notify
    /// that names none
    #[arg(long, value_name = "NAME=FILE", value_parser = spec::key)]
    tsig_key: Vec<KeyFile>,

    /// Who may transfer the zones: an address, a network such as 192.0.2.0/24, or a key's name; may be
    /// repeated [default: nobody]
    #[arg(long, value_name = "NET|KEY", value_parser = spec::grant)]
    allow_transfer: Vec<Grant>,

    /// Who may tell that a zone of --secondary has changed, besides the servers that it comes from; may
    /// be repeated
    #[arg(long, value_name = "NET|KEY", value_parser = spec::grant)]
    allow_notify: Vec<Grant>,

    /// Who is told when a zone changes: an address, or an endpoint (udp, tcp, tls); KEY@ before it
    /// names the key; may be repeated
    #[arg(long, value_name = "ADDR", value_parser = spec::notified)]
    notify: Vec<RemoteSpec>,

    /// The folder to keep the zones of --secondary in, so that a restart serves them at once
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Serve nothing, but say what is wrong with the files of --zone, and what looks so. The exit
    /// status is 2 if one could not be served, 1 if there are warnings
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    tls: Tls,
}

impl ServerArgs for DnsServer {
    async fn plan(self, plan: &mut Plan) {
        if self.zone.is_empty() && self.secondary.is_empty() && self.forward.is_empty() {
            let why = "nothing to serve, expected --zone, --secondary or --forward";
            return plan.fault(Failure::arguments(why));
        }
        let has_zones = !self.zone.is_empty() || !self.secondary.is_empty();
        if has_zones && !self.forward.is_empty() {
            // A zone's delegations and aliases lead out of it, and whoever asks a forwarder follows
            // neither: what both would say together is half an answer.
            let why = "not beside --zone or --secondary, expected a dns server of its own for each, \
                       with another --listen";
            return plan.fault(Failure::option("--forward", why));
        }
        if self.forward.is_empty() && !self.allow_forward.is_empty() {
            let why = "nothing is forwarded, expected --forward beside it";
            return plan.fault(Failure::option("--allow-forward", why));
        }
        let files = Files::new(&self.zone);
        if self.check {
            plan.only_check();
            return files.check(plan);
        }
        if !self.forward.is_empty() {
            return self.forward(plan);
        }
        self.serve(files, plan);
    }
}

impl DnsServer {
    fn forward(self, plan: &mut Plan) {
        let mut options = ForwarderOptions::default();
        options.metrics = Some(plan.numbers());
        if !self.allow_forward.is_empty() {
            let networks = self.allow_forward;
            options.allow = Arc::new(move |from| networks.iter().any(|it| it.contains(from)));
        }
        let forwarder = Forwarder::with(Resolver::new(self.forward), options);
        // A server that asks us what we ask it would go round in circles.
        let check = forwarder.clone();
        plan.beside(
            async move {
                check.check_loops().await;
            },
            ready(Ok(())),
        );
        let tls = plan.tls(&self.tls).map(|tls| tls.alpn(&["dot"]));
        for endpoint in &self.listen {
            if endpoint.is_datagram() {
                let options = forwarder.datagram_options();
                plan.datagrams(DNS, "--listen", endpoint, forwarder.datagrams(), options);
            } else {
                let options = plan.options(tls.as_ref());
                plan.stream(DNS, "--listen", endpoint, forwarder.handler(), options);
            }
        }
    }

    fn serve(self, files: Files, plan: &mut Plan) {
        let keys = self.keys(plan);
        let mut options = TransferOptions::default();
        options.access = self.allow_transfer.iter().cloned().collect();
        let transfers = Transfers::new(Zones::new(), options);
        let known = |grants: &[Grant], option: &'static str, plan: &mut Plan| {
            for grant in grants {
                if let Grant::Key(name) = grant
                    && keys.get(name).is_none()
                {
                    let why = "no such key, expected a network or the name of a --tsig-key";
                    plan.fault(Failure::usage(option, name, why));
                }
            }
        };
        known(&self.allow_transfer, "--allow-transfer", plan);
        known(&self.allow_notify, "--allow-notify", plan);
        for zone in files.read(plan) {
            transfers.publish(zone);
        }
        let mut services = Services::named("zones").together();
        let mut notifier = NotifierOptions::default();
        for spec in &self.notify {
            notifier
                .remotes
                .extend(remote(spec, &keys, "--notify", plan));
        }
        if !notifier.remotes.is_empty() {
            services = services.add(Notifier::new(transfers.clone(), notifier));
        }
        let mut secondaries = Vec::new();
        let mut origins: Vec<&Name> = self.zone.iter().map(|zone| &zone.origin).collect();
        for spec in &self.secondary {
            if origins.contains(&&spec.origin) {
                let why = "this zone is served already, expected each once";
                plan.fault(Failure::usage("--secondary", &spec.origin, why));
                continue;
            }
            origins.push(&spec.origin);
            let mut options = SecondaryOptions::default();
            for primary in &spec.primaries {
                options
                    .primaries
                    .extend(remote(primary, &keys, "--secondary", plan));
            }
            options.folder = self.data.clone();
            options.notify = self.allow_notify.iter().cloned().collect();
            let origin = spec.origin.clone();
            let secondary = Secondary::new(origin, Class::IN, transfers.clone(), options);
            services = services.add(secondary.clone());
            secondaries.push(secondary);
        }
        // The account that it is to serve as may not be the one that could make it.
        if let Some(data) = &self.data
            && let Err(error) = match plan.becomes_another() {
                true => std::fs::read_dir(data).map(drop),
                false => std::fs::create_dir_all(data),
            }
        {
            let why = format!("{error}, expected a folder that can be written");
            plan.fault(Failure::usage("--data", data.display(), why));
        }
        measure(&origins, &transfers, &secondaries, plan);
        let mut options = AuthorityOptions::default();
        options.keys = Arc::new(keys);
        options.extension = Some(Arc::new(Secondaries::new(transfers.clone(), secondaries)));
        options.metrics = Some(plan.numbers());
        let authority = Authority::new(transfers.zones().clone(), options);
        let zones = i64::try_from(origins.len()).unwrap_or(i64::MAX);
        plan.measure(move |metrics| {
            let help = "Zones that are to be served.";
            metrics.gauge("ropewalk_dns_zones", help, &[]).set(zones);
        });
        if !self.zone.is_empty() {
            plan.reload("zones", move || files.reload(&transfers));
        }
        if !services.is_empty() {
            let work = async move {
                let mut services = services.start();
                if let Err(error) = services.ended().await {
                    tracing::error!(%error, "zones are not kept any more");
                }
            };
            plan.beside(work, ready(Ok(())));
        }
        // What DNS over TLS calls itself (RFC 7858, section 3.2; RFC 9103, section 7.1).
        let tls = plan.tls(&self.tls).map(|tls| tls.alpn(&["dot"]));
        listen(&authority, &self.listen, tls.as_ref(), plan);
    }

    /// Reads the files of keys.
    fn keys(&self, plan: &mut Plan) -> Keys {
        let mut keys = Keys::new();
        for file in &self.tsig_key {
            match file.read() {
                Ok(key) => {
                    if keys.insert(key).is_some() {
                        let why = "this key stands there twice, expected each once";
                        plan.fault(Failure::usage("--tsig-key", &file.name, why));
                    }
                }
                Err(why) => plan.fault(Failure::usage("--tsig-key", file, why)),
            }
        }
        keys
    }
}

/// Shows which version of each zone is served, and how its secondary fares. Zones are those of the
/// arguments, so there are no more series than somebody has typed.
fn measure(
    origins: &[&Name],
    transfers: &Transfers,
    secondaries: &[Arc<Secondary>],
    plan: &mut Plan,
) {
    let metrics = plan.numbers();
    for origin in origins {
        let (zones, name) = (transfers.zones().clone(), (*origin).clone());
        let help = "Serial of the version that is served; 0 if there is none.";
        let serial = move || {
            let zones = zones.current();
            let zone = zones.entry(name.as_ref()).and_then(Entry::zone);
            zone.map_or(0, |zone| zone.serial().into())
        };
        let labels = &[("zone", label(origin))];
        metrics.gauge_asked("ropewalk_dns_zone_serial", help, labels, serial);
    }
    for secondary in secondaries {
        let zone = label(secondary.origin());
        let state = secondary.state();
        let help = "Seconds since a primary last said which version it has; -1 if none has.";
        let age = move || {
            let age = state.borrow().checked.map(|checked| {
                let age = wall_clock().duration_since(checked).unwrap_or_default();
                i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
            });
            age.unwrap_or(-1)
        };
        metrics.gauge_asked(
            "ropewalk_dns_zone_age_seconds",
            help,
            &[("zone", zone)],
            age,
        );
        let help = "Looks at primaries that brought a new version, or nothing at all.";
        for (outcome, of) in [
            (
                "done",
                (|state| state.transfers) as fn(&SecondaryState) -> u64,
            ),
            ("failed", |state| state.failures),
        ] {
            let state = secondary.state();
            let labels = &[("zone", zone), ("outcome", outcome)];
            let count = move || of(&state.borrow());
            metrics.counter_asked("ropewalk_dns_zone_transfers", help, labels, count);
        }
    }
}

/// The name of a zone as a label: as static as the arguments, which are read once.
fn label(origin: &Name) -> &'static str {
    origin.to_string().leak()
}

/// Serves an authority on endpoints of datagrams and of streams.
fn listen(
    authority: &Authority,
    endpoints: &[ServerEndpoint],
    tls: Option<&ropewalk_core::tls::TlsServer>,
    plan: &mut Plan,
) {
    for endpoint in endpoints {
        if endpoint.is_datagram() {
            let options = authority.datagram_options();
            plan.datagrams(DNS, "--listen", endpoint, authority.datagrams(), options);
        } else {
            let mut options = plan.options(tls);
            options.limits.unread = authority.limits().unread;
            plan.stream(DNS, "--listen", endpoint, authority.handler(), options);
        }
    }
}

/// Another server with its key: the one it names, or the only one there is.
fn remote(spec: &RemoteSpec, keys: &Keys, option: &'static str, plan: &mut Plan) -> Option<Remote> {
    // Its certificates are read again for each connection, and should be there from the start.
    if let Err(error) = ConnectOptions::default().prepare(&spec.remote.endpoint) {
        plan.fault(Failure::usage(option, spec, error));
        return None;
    }
    let key = match &spec.key {
        Some(name) => match keys.get(name) {
            Some(key) => Some(key),
            None => {
                let why = "no such key, expected the name of a --tsig-key before the @";
                plan.fault(Failure::usage(option, spec, why));
                return None;
            }
        },
        None => {
            let mut all = keys.iter();
            all.next().filter(|_| all.next().is_none())
        }
    };
    Some(match key {
        Some(key) => spec.remote.clone().with_key(key.clone()),
        None => spec.remote.clone(),
    })
}
