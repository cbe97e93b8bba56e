//! Tokio's side of system_bench: datagrams on its runtime for one thread, one with each call. It
//! has no row for child processes: these need a crate for signals, which is not locked here.
use measure::{cpu_ns, is_small};
use tokio::net::UdpSocket;

const TEXT: &[u8] = b"a datagram of thirty-two bytes..";

/// Both sockets, the client connected to the server.
async fn open() -> (UdpSocket, UdpSocket) {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server.local_addr().unwrap()).await.unwrap();
    (server, client)
}

async fn echo(at: UdpSocket) {
    let mut memory = vec![0; 65_536];
    loop {
        let (size, from) = at.recv_from(&mut memory).await.unwrap();
        at.send_to(&memory[..size], from).await.unwrap();
    }
}

async fn udp_echo(count: i64) -> u64 {
    let (server, client) = open().await;
    let echoing = tokio::spawn(echo(server));
    let mut memory = vec![0; 65_536];
    let mut received = 0;
    for _ in 0..count {
        client.send(TEXT).await.unwrap();
        received += client.recv(&mut memory).await.unwrap() as u64;
    }
    echoing.abort();
    received
}

async fn udp_batch(count: i64) -> u64 {
    let (server, client) = open().await;
    let mut memory = vec![0; 65_536];
    let mut received = 0;
    for _ in 0..(count + 15) / 16 {
        for _ in 0..16 {
            client.send(TEXT).await.unwrap();
        }
        for _ in 0..16 {
            received += server.recv(&mut memory).await.unwrap() as u64;
        }
    }
    received
}

fn main() {
    let scale = if is_small() { 100 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    measure::measure("udp_echo", 100_000 / scale, cpu_ns, |n| runtime.block_on(udp_echo(n)));
    measure::measure("udp_one_way/batch=16", 160_000 / scale, cpu_ns, |n| {
        runtime.block_on(udp_batch(n))
    });
}
