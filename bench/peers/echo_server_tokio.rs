//! Tokio's echo server: a task for each connection, on its runtime for one thread.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

async fn echo(mut peer: TcpStream) -> std::io::Result<()> {
    peer.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024); // what no read has filled costs no memory
    while peer.read_buf(&mut buffer).await? != 0 {
        peer.write_all(&buffer).await?;
        buffer.clear();
    }
    Ok(())
}

async fn serve() -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse().unwrap())?;
    let listener = socket.listen(4096)?;
    println!("listening {}", listener.local_addr()?.port());
    loop {
        let (peer, _) = listener.accept().await?;
        tokio::spawn(echo(peer));
    }
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve())
}
