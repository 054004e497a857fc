//! A service for the stand-in's own tests: notes its arguments, says that it is ready, waits.

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let socket = std::env::var("NOTIFY_SOCKET").map_err(std::io::Error::other)?;
    let dir = std::env::var("RUNTIME_DIRECTORY").map_err(std::io::Error::other)?;
    std::fs::write(format!("{dir}/args"), args.join("|"))?;
    std::os::unix::net::UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    loop {
        std::thread::park();
    }
}
