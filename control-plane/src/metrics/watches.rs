//! Events on their way to watchers: the metrics `apiserver_watch_events_*`.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use nodeplane_api::kinds::Kind;
use nodeplane_metrics::{Bounds, Histogram, Labels, Series, Text};

static SIZES: Bounds = Bounds::plain(&[1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0]);

static SENT: LazyLock<Series<Of, Histogram>> = LazyLock::new(|| Series::new(|| Histogram::new(&SIZES)));

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Of {
    group: &'static str,
    kind: &'static str,
    version: &'static str,
}

impl Labels for Of {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("group", self.group.into()), ("kind", self.kind.into()), ("version", self.version.into())]
    }
}

/// The sizes of events of a kind that were sent to watchers.
pub fn sent(kind: &Kind) -> Arc<Histogram> {
    SENT.of(&Of { group: kind.group, kind: kind.kind, version: kind.version })
}

/// Shows them.
pub(super) fn show(text: &mut Text) {
    let help = "Number of events sent in watch clients";
    let mut group = text.group("apiserver_watch_events_total", "counter", help);
    for (of, sizes) in SENT.all() {
        group.count(&of.pairs(), sizes.count());
    }
    text.histograms("apiserver_watch_events_sizes", "Watch event size distribution in bytes", &SENT);
}
