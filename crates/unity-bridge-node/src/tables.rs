//! What the landing page lists.

use std::sync::Arc;

use exposition::Table;

use crate::bridge::Bridge;

pub(crate) fn tables(bridge: Arc<Bridge>) -> Arc<dyn Fn() -> Vec<Table> + Send + Sync> {
    Arc::new(move || {
        let clients = bridge.clients();
        let rows = clients.iter().map(|(peer, connected)| {
            let (since, waiting) = (connected.since.elapsed(), connected.outbox.bytes());
            vec![peer.to_string(), format!("{} s", since.as_secs()), waiting.to_string()]
        });
        vec![Table {
            heading: "Clients".to_owned(),
            columns: ["Client", "Connected for", "Bytes waiting"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }]
    })
}
