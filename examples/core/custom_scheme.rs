//! A scheme of one's own: `service:NAME` is wherever a table says it is.
use std::{collections::BTreeMap, process::ExitCode};

use ropewalk_core::{endpoint::Description, endpoint::ParseError, *};
use tokio::io::{AsyncWriteExt, copy, stdout};

struct Services(BTreeMap<&'static str, &'static str>);

impl Services {
    fn find(&self, service: &Description) -> Result<&str, ParseError> {
        let name = service.positional(0).unwrap_or_default();
        let known = || format!("one of {:?}", self.0.keys());
        let found = self.0.get(name).copied();
        found.ok_or_else(|| service.refuse("service", name, known()))
    }
}

impl Scheme for Services {
    fn name(&self) -> &str {
        "service"
    }

    fn listen<'a>(
        &'a self,
        service: &'a Description,
        schemes: &'a Schemes,
    ) -> BoxFuture<'a, Result<Bound, ListenError>> {
        Box::pin(async move { schemes.listen(&self.find(service)?.parse()?).await })
    }

    fn connect<'a>(
        &'a self,
        service: &'a Description,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        Box::pin(async move { route.connect(&self.find(service)?.parse()?).await })
    }
}

async fn greet(mut conn: Connection) -> Result {
    conn.write_all(b"hello from service:greeter\n").await?;
    Ok(conn.shutdown().await?)
}

fn main() -> ExitCode {
    run(async {
        let schemes = Schemes::new().add(Services([("greeter", "mem:a-table-entry")].into()));
        let endpoint: ServerEndpoint = "service:greeter".parse()?;
        let _server = endpoint.listen_with(greet, schemes.clone()).await?;
        let mut conn = schemes.connect(&"service:greeter".parse()?).await?;
        copy(&mut conn, &mut stdout()).await?;
        Ok(())
    })
}
