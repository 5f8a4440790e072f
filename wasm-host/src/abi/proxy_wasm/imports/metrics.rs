//! Metrics that guests define.

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Fail, Host, get_text, now, put, put_word};
use crate::abi::proxy_wasm::services::{Metric, MetricKind};
use crate::abi::proxy_wasm::status::Status;
use crate::store::State;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_define_metric",
        |caller: Host<'_>, kind: u32, name: u32, name_length: u32, result: u32| {
            now(caller, "proxy_define_metric", Allowed::Later, |caller| {
                let kind = match kind {
                    0 => MetricKind::Counter,
                    1 => MetricKind::Gauge,
                    2 => MetricKind::Histogram,
                    _ => return Err(Status::BadArgument.into()),
                };
                let name = get_text(caller, name, name_length)?;
                let settings = &caller.data().abi.settings;
                let metric = settings.services.define_metric(&settings.vm_id, kind, name)?;
                put_word(caller, result, metric)
            })
        },
    )?;
    linker.func_wrap(ENV, "proxy_record_metric", |caller: Host<'_>, metric: u32, value: i64| {
        now(caller, "proxy_record_metric", Allowed::Later, |caller| {
            change(caller, metric, |metric| {
                match metric.kind {
                    MetricKind::Gauge => metric.value = value,
                    // A counter only goes up, as in Envoy.
                    MetricKind::Counter => metric.value = metric.value.saturating_add(value.max(0)),
                    MetricKind::Histogram => {
                        metric.value = metric.value.saturating_add(value);
                        metric.count += 1;
                    }
                }
                Ok(())
            })
        })
    })?;
    linker.func_wrap(ENV, "proxy_increment_metric", |caller: Host<'_>, metric: u32, delta: i64| {
        now(caller, "proxy_increment_metric", Allowed::Later, |caller| {
            change(caller, metric, |metric| match metric.kind {
                MetricKind::Counter if delta < 0 => Err(Status::BadArgument),
                MetricKind::Histogram => Err(Status::BadArgument),
                _ => {
                    metric.value = metric.value.saturating_add(delta);
                    Ok(())
                }
            })
        })
    })?;
    linker.func_wrap(ENV, "proxy_get_metric", |caller: Host<'_>, metric: u32, result: u32| {
        now(caller, "proxy_get_metric", Allowed::Later, |caller| {
            let value = change(caller, metric, |metric| match metric.kind {
                MetricKind::Histogram => Err(Status::BadArgument),
                _ => Ok(metric.value),
            })?;
            put(caller, result, &value.to_le_bytes())
        })
    })?;
    Ok(())
}

fn change<R>(
    caller: &mut Host<'_>,
    metric: u32,
    change: impl FnOnce(&mut Metric) -> Result<R, Status>,
) -> Result<R, Fail> {
    let settings = &caller.data().abi.settings;
    Ok(settings.services.change_metric(&settings.vm_id, metric, change)?)
}
