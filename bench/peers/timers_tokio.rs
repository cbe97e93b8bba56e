//! Tokio's side of timers_bench. Its timers have a resolution of one millisecond.
use measure::{cpu_ns, is_small, private_bytes, scramble};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{sleep, timeout};

fn length_of(n: i64) -> Duration {
    Duration::from_micros(500_000 + u64::from(scramble(n as u32) % 1_000_000))
}

// A timer of tokio enters the wheel when it is polled first, and leaves it when it is dropped.
async fn create_and_cancel(count: i64) -> u64 {
    let mut cancelled = 0;
    let mut context = Context::from_waker(Waker::noop());
    for i in 0..count {
        let timer = pin!(sleep(length_of(i)));
        if timer.poll(&mut context) == Poll::Pending {
            cancelled += 1;
        }
    }
    cancelled
}

async fn time_out_never(count: i64) -> u64 {
    let mut sum = 0;
    for _ in 0..count {
        sum += timeout(Duration::from_secs(30), async { 1 }).await.unwrap();
    }
    sum
}

async fn fire(count: i64) -> u64 {
    let woken = Arc::new(AtomicU64::new(0));
    let mut all = Vec::with_capacity(count as usize);
    for i in 0..count {
        let mine = woken.clone();
        all.push(tokio::spawn(async move {
            sleep(length_of(i)).await;
            mine.fetch_add(1, Relaxed);
        }));
    }
    for one in all {
        one.await.unwrap();
    }
    woken.load(Relaxed)
}

async fn sleep_all(count: i64) -> u64 {
    let before = private_bytes();
    for _ in 0..count {
        tokio::spawn(sleep(Duration::from_secs(3600)));
    }
    sleep(Duration::from_millis(1)).await;
    let used = (private_bytes() - before).max(0);
    measure::print_row("sleeping_task/n=1000000", used as f64 / count as f64, "bytes", count as u64);
    count as u64
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn main() {
    let scale = if is_small() { 1000 } else { 1 };
    runtime().block_on(sleep_all(999_000 / scale));
    let runtime = runtime();
    let run = |name: &str, count: i64, work: &dyn Fn(i64) -> u64| {
        measure::measure(name, count / scale, cpu_ns, work);
    };
    run("create_cancel", 2_000_000, &|n| runtime.block_on(create_and_cancel(n)));
    run("timeout_unused", 100_000, &|n| runtime.block_on(time_out_never(n)));
    run("fire/n=1000000", 1_000_000, &|n| runtime.block_on(fire(n)));
}
