//! Tokio's side of flow_bench: its channels, mutex and select on its runtime for one thread.
use measure::{cpu_ns, is_small};
use tokio::sync::{mpsc, oneshot, Mutex};

async fn ping_pong(count: i64) -> u64 {
    let (there, mut arrived) = mpsc::channel::<u64>(1);
    let (back, mut returned) = mpsc::channel::<u64>(1);
    let other = tokio::spawn(async move {
        while let Some(ball) = arrived.recv().await {
            back.send(ball).await.unwrap();
        }
    });
    let mut played = 0;
    for _ in 0..count {
        there.send(1).await.unwrap();
        played += returned.recv().await.unwrap();
    }
    drop(there);
    other.await.unwrap();
    played
}

async fn channel_of_64(count: i64) -> u64 {
    let (to, mut from) = mpsc::channel::<u64>(64);
    let other = tokio::spawn(async move {
        for i in 0..count as u64 {
            to.send(i).await.unwrap();
        }
    });
    let mut sum = 0;
    while let Some(item) = from.recv().await {
        sum += item;
    }
    other.await.unwrap();
    sum
}

async fn lock_and_unlock(count: i64) -> u64 {
    let door = Mutex::new(0u64);
    for _ in 0..count {
        *door.lock().await += 1;
    }
    door.into_inner()
}

async fn select_ready(count: i64) -> u64 {
    let (to, mut from) = mpsc::channel::<u64>(1);
    let (_silent, mut never) = mpsc::channel::<u64>(1);
    let mut sum = 0;
    for i in 0..count as u64 {
        to.send(i).await.unwrap();
        tokio::select! {
            item = from.recv() => sum += item.unwrap(),
            item = never.recv() => sum += item.unwrap(),
        }
    }
    sum
}

async fn select_waits(count: i64) -> u64 {
    let (to_one, mut one) = mpsc::channel::<u64>(1);
    let (to_other, mut other) = mpsc::channel::<u64>(1);
    let partner = tokio::spawn(async move {
        for i in 0..count {
            let to = if i % 2 == 0 { &to_one } else { &to_other };
            to.send(i as u64).await.unwrap();
        }
    });
    let mut sum = 0;
    for _ in 0..count {
        tokio::select! {
            Some(item) = one.recv() => sum += item,
            Some(item) = other.recv() => sum += item,
        }
    }
    partner.await.unwrap();
    sum
}

async fn oneshots(count: i64) -> u64 {
    let mut sum = 0;
    for i in 0..count as u64 {
        let (to, from) = oneshot::channel::<u64>();
        to.send(i).unwrap();
        sum += from.await.unwrap();
    }
    sum
}

fn main() {
    let scale = if is_small() { 1000 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = |name: &str, count: i64, work: &dyn Fn(i64) -> u64| {
        measure::measure(name, count / scale, cpu_ns, work);
    };
    run("channel_ping_pong", 2_000_000, &|n| runtime.block_on(ping_pong(n)));
    run("channel/capacity=64", 8_000_000, &|n| runtime.block_on(channel_of_64(n)));
    run("mutex", 10_000_000, &|n| runtime.block_on(lock_and_unlock(n)));
    run("select_ready", 4_000_000, &|n| runtime.block_on(select_ready(n)));
    run("select_waits", 2_000_000, &|n| runtime.block_on(select_waits(n)));
    run("oneshot", 4_000_000, &|n| runtime.block_on(oneshots(n)));
}
