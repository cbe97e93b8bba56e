//! Tokio's side of flow_mt_bench: its runtime for two threads. Its channels have one receiver, so
//! for two of them there is no row.
use measure::{is_small, wall_ns};
use tokio::sync::mpsc;

async fn ping_pong(count: i64) -> u64 {
    let (there, mut arrived) = mpsc::channel::<u64>(1);
    let (back, mut returned) = mpsc::channel::<u64>(1);
    let other = tokio::spawn(async move {
        while let Some(ball) = arrived.recv().await {
            back.send(ball).await.unwrap();
        }
    });
    let one = tokio::spawn(async move {
        let mut played = 0;
        for _ in 0..count {
            there.send(1).await.unwrap();
            played += returned.recv().await.unwrap();
        }
        played
    });
    let played = one.await.unwrap();
    other.await.unwrap();
    played
}

async fn one_to_one(count: i64) -> u64 {
    let (to, mut from) = mpsc::channel::<u64>(1024);
    let one = tokio::spawn(async move {
        for i in 0..count as u64 {
            to.send(i).await.unwrap();
        }
    });
    let other = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(item) = from.recv().await {
            sum += item;
        }
        sum
    });
    one.await.unwrap();
    other.await.unwrap()
}

fn main() {
    let scale = if is_small() { 1000 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    measure::measure("channel_ping_pong", 200_000 / scale, wall_ns, |n| {
        runtime.block_on(ping_pong(n))
    });
    measure::measure("channel_one_to_one/capacity=1024", 4_000_000 / scale, wall_ns, |n| {
        runtime.block_on(one_to_one(n))
    });
}
