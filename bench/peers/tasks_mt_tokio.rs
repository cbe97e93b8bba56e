//! Tokio's side of tasks_mt_bench: two runtimes on two threads, and its channels between them.
use measure::{is_small, wall_ns};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{channel, unbounded_channel};
use tokio::sync::oneshot;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn ping_pong(count: i64) -> u64 {
    let (there, mut arrived) = unbounded_channel::<u64>();
    let (back, mut returned) = unbounded_channel::<u64>();
    let other = std::thread::spawn(move || {
        runtime().block_on(async move {
            while let Some(ball) = arrived.recv().await {
                back.send(ball).unwrap();
            }
        })
    });
    let played = runtime().block_on(async move {
        let mut played = 0;
        for _ in 0..count {
            there.send(1).unwrap();
            played += returned.recv().await.unwrap();
        }
        played
    });
    other.join().unwrap();
    played
}

/// A call of a task on another runtime's thread: what is to be run goes there with a oneshot for its
/// answer, and runs in the task that is called.
fn call_many(count: i64) -> u64 {
    type Call = Box<dyn FnOnce() -> u64 + Send>;
    let (requests, mut arrived) = channel::<(Call, oneshot::Sender<u64>)>(4_096);
    let other = std::thread::spawn(move || {
        runtime().block_on(async move {
            while let Some((run, answer)) = arrived.recv().await {
                answer.send(run()).unwrap();
            }
        })
    });
    let sum = runtime().block_on(async move {
        let mut sum = 0;
        for i in 0..count as u64 {
            let (to, answer) = oneshot::channel();
            requests.send((Box::new(move || 1 + (i & 0)), to)).await.ok().unwrap();
            sum += answer.await.unwrap();
        }
        sum
    });
    other.join().unwrap();
    sum
}

fn post_many(count: i64) -> u64 {
    type Post = Box<dyn FnOnce() -> u64 + Send>;
    let (posts, mut arrived) = channel::<Post>(65_536);
    let other = std::thread::spawn(move || {
        runtime().block_on(async move {
            let mut received = 0;
            while let Some(run) = arrived.recv().await {
                received += run();
            }
            received
        })
    });
    for i in 0..count as u64 {
        posts.blocking_send(Box::new(move || 1 + (i & 0))).ok().unwrap();
    }
    drop(posts);
    other.join().unwrap()
}

fn main() {
    let scale = if is_small() { 1000 } else { 1 };
    measure::measure("ping_pong", 10_000 / scale, wall_ns, ping_pong);
    measure::measure("call", 10_000 / scale, wall_ns, call_many);
    measure::measure("post", 1_000_000 / scale, wall_ns, post_many);
}
