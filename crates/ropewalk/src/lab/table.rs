//! The table that the lab prints: what there is, where, and a line to try it.

use std::{fmt, net::SocketAddr};

use ropewalk_core::Address;

pub(super) struct Table {
    rows: Vec<Row>,
    ca: String,
}

struct Row {
    service: &'static str,
    address: String,
    try_it: String,
}

impl Table {
    /// None yet; `ca` is the path of the CA's certificate.
    pub(super) fn new(ca: String) -> Self {
        Self {
            rows: Vec::new(),
            ca,
        }
    }

    /// The path of the CA's certificate, as a word of a shell.
    pub(super) fn ca(&self) -> String {
        word(&self.ca)
    }

    /// A service on a port, and a command made of where that is.
    pub(super) fn row(
        &mut self,
        service: &'static str,
        scheme: &str,
        address: &Address,
        try_it: impl Fn(SocketAddr) -> String,
    ) {
        if let Some(at) = address.inet() {
            self.line(service, format!("{scheme}:{at}"), try_it(at));
        }
    }

    pub(super) fn line(&mut self, service: &'static str, address: String, try_it: String) {
        self.rows.push(Row {
            service,
            address,
            try_it,
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> usize, least: usize| {
            let widest = self.rows.iter().map(of).max().unwrap_or(0);
            widest.max(least)
        };
        let service = width(|row| row.service.len(), "SERVICE".len());
        let address = width(|row| row.address.chars().count(), "ADDRESS".len());
        writeln!(f)?;
        writeln!(f, "{:service$}  {:address$}  TRY", "SERVICE", "ADDRESS")?;
        for row in &self.rows {
            writeln!(
                f,
                "{:service$}  {:address$}  {}",
                row.service, row.address, row.try_it
            )?;
        }
        writeln!(f)?;
        writeln!(f, "CA certificate: {}", self.ca)?;
        writeln!(f, "Ctrl-C ends the lab.")
    }
}

/// A text as one word of a shell.
pub(super) fn word(text: &str) -> String {
    // It fails only on a zero byte, which no path has.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new("/tmp/a b/ca.pem".into());
        let address = Address::from(SocketAddr::from(([127, 0, 0, 1], 8080)));
        table.row("web", "tcp", &address, |at| format!("curl http://{at}/"));
        table.line("forward", "unix:/x".into(), "true".into());
        assert_eq!(table.ca(), "'/tmp/a b/ca.pem'");
        assert_eq!(
            table.to_string(),
            "\n\
             SERVICE  ADDRESS             TRY\n\
             web      tcp:127.0.0.1:8080  curl http://127.0.0.1:8080/\n\
             forward  unix:/x             true\n\
             \n\
             CA certificate: /tmp/a b/ca.pem\n\
             Ctrl-C ends the lab.\n"
        );
    }
}
