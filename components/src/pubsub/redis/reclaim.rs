//! Takes over entries that were left in the pending list, and keeps our own from looking so.

use std::collections::HashSet;
use std::time::Duration;

use super::config::Redelivery;
use super::entry::{Entry, next_id};
use super::subscription::Desk;
use crate::clients::redis::{Argument, Error, Route};

/// The most entries in one command that keeps them.
const KEPT_AT_ONCE: usize = 200;

/// Looks at once and then at each interval, until the subscription closes. Does nothing when redelivery is off.
pub(super) async fn run(desk: &Desk) {
    let Some(redelivery) = desk.stream.config.redelivery else { return };
    let looking = async {
        loop {
            if let Err(error) = take_over(desk, redelivery).await {
                tracing::error!("error claiming pending Redis messages: {error}");
            }
            if !pause(desk, redelivery.interval).await {
                return;
            }
        }
    };
    // Often enough that an entry in hand never becomes idle for the whole time, even if one turn fails.
    let every = (redelivery.processing_timeout / 3).max(Duration::from_millis(1));
    let keeping = async {
        while pause(desk, every).await {
            for ids in desk.held.touch_older_than(every).chunks(KEPT_AT_ONCE) {
                desk.stream.set_idle(ids, 0).await;
            }
        }
    };
    tokio::join!(looking, keeping);
}

/// False when the subscription closed meanwhile.
async fn pause(desk: &Desk, time: Duration) -> bool {
    tokio::select! {
        () = desk.token.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// Goes through the group's pending list once, whoever left entries in it.
async fn take_over(desk: &Desk, redelivery: Redelivery) -> Result<(), Error> {
    let mut from = "-".to_owned();
    while !desk.token.is_cancelled() {
        let page = pending(desk, &from).await?;
        let full = page.len() >= desk.stream.config.queue_depth;
        let next = page.last().and_then(|pending| next_id(&pending.id));
        let idle = page.into_iter().filter(|pending| pending.idle >= redelivery.processing_timeout);
        let ids: Vec<String> = idle.map(|pending| pending.id).filter(|id| !desk.held.has(id)).collect();
        if !ids.is_empty() {
            let claimed = claim(desk, redelivery, &ids).await?;
            let gone: HashSet<&String> = ids.iter().collect();
            let taken: HashSet<&String> = claimed.iter().map(|entry| &entry.id).collect();
            for id in gone.difference(&taken) {
                drop_if_deleted(desk, id).await?;
            }
            desk.hand_out(claimed).await;
        }
        match next {
            Some(next) if full => from = next,
            _ => return Ok(()),
        }
    }
    Ok(())
}

struct Pending {
    id: String,
    idle: Duration,
}

/// A page of the pending list.
async fn pending(desk: &Desk, from: &str) -> Result<Vec<Pending>, Error> {
    let config = &desk.stream.config;
    let arguments: Vec<Argument> = vec![
        desk.stream.topic.as_str().into(),
        config.consumer.as_str().into(),
        from.into(),
        "+".into(),
        (config.queue_depth as i64).into(),
    ];
    match desk.stream.client.call("XPENDING", Route::Key(0), arguments).await {
        Ok(reply) => {
            let parse = |reply: crate::clients::redis::Reply| {
                let mut parts = reply.array().into_iter();
                let id = parts.next()?.text()?;
                let idle = parts.nth(1)?.integer().and_then(|idle| u64::try_from(idle).ok())?;
                Some(Pending { id, idle: Duration::from_millis(idle) })
            };
            Ok(reply.array().into_iter().filter_map(parse).collect())
        }
        // The reads make the group anew.
        Err(error) if error.is("NOGROUP") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Takes entries over if they are still idle: of several who try, one gets each.
async fn claim(desk: &Desk, redelivery: Redelivery, ids: &[String]) -> Result<Vec<Entry>, Error> {
    let config = &desk.stream.config;
    let idle = i64::try_from(redelivery.processing_timeout.as_millis()).unwrap_or(i64::MAX);
    let mut arguments: Vec<Argument> = vec![
        desk.stream.topic.as_str().into(),
        config.consumer.as_str().into(),
        config.consumer.as_str().into(),
        idle.into(),
    ];
    arguments.extend(ids.iter().map(|id| id.as_str().into()));
    let reply = desk.stream.client.call("XCLAIM", Route::Key(0), arguments).await?;
    Ok(reply.array().into_iter().filter_map(Entry::parse).collect())
}

/// An entry that could not be claimed was taken by another, or has been deleted from the stream: then nobody will ever
/// handle it. Servers before 7.0 keep such entries pending for ever.
async fn drop_if_deleted(desk: &Desk, id: &str) -> Result<(), Error> {
    let arguments = vec![desk.stream.topic.as_str().into(), id.into(), id.into()];
    let found = desk.stream.client.call("XRANGE", Route::Key(0), arguments).await?;
    if found.array().is_empty() {
        desk.stream.acknowledge(id).await;
    }
    Ok(())
}
