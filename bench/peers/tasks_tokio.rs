//! Tokio's side of tasks_bench: its runtime for one thread. An `async fn` that is only awaited is
//! no task in Rust but a part of its caller, so there is no row for that.
use measure::{cpu_ns, is_small};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

async fn spawn_and_await(count: i64) -> u64 {
    let mut sum = 0;
    for i in 0..count as u64 {
        sum += tokio::spawn(async move { i }).await.unwrap();
    }
    sum
}

async fn spawn_many(count: i64) -> u64 {
    let sum = Arc::new(AtomicU64::new(0));
    let mut all = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let mine = sum.clone();
        all.push(tokio::spawn(async move {
            mine.fetch_add(1, Relaxed);
        }));
    }
    for one in all {
        one.await.unwrap();
    }
    sum.load(Relaxed)
}

async fn yield_between_two(count: i64) -> u64 {
    let take_turns = |n: i64| async move {
        let mut turns = 0;
        for _ in 0..n {
            tokio::task::yield_now().await;
            turns += 1;
        }
        turns
    };
    let one = tokio::spawn(take_turns(count / 2));
    let other = tokio::spawn(take_turns(count / 2));
    one.await.unwrap() + other.await.unwrap()
}

async fn join_two(count: i64) -> u64 {
    let mut sum = 0;
    for i in 0..count as u64 {
        let (one, other) = tokio::join!(
            tokio::spawn(async move { i }),
            tokio::spawn(async move { 2 * i })
        );
        sum += one.unwrap() + other.unwrap();
    }
    sum
}

// Without tasks of their own the two futures are parts of the caller, which can't run apart.
async fn join_two_inline(count: i64) -> u64 {
    let mut sum = 0;
    for i in 0..count as u64 {
        let (one, other) = tokio::join!(async move { i }, async move { 2 * i });
        sum += one + other;
    }
    sum
}

fn main() {
    let scale = if is_small() { 1000 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = |name: &str, count: i64, work: &dyn Fn(i64) -> u64| {
        measure::measure(name, count / scale, cpu_ns, work);
    };
    run("spawn_await", 2_000_000, &|n| runtime.block_on(spawn_and_await(n)));
    run("spawn_join/n=1000000", 1_000_000, &|n| runtime.block_on(spawn_many(n)));
    run("yield", 8_000_000, &|n| runtime.block_on(yield_between_two(n)));
    run("when_all_two", 1_000_000, &|n| runtime.block_on(join_two(n)));
    run("when_all_two@tokio-inline", 1_000_000, &|n| runtime.block_on(join_two_inline(n)));
}
