//! What bench/measure.hpp does, for Rust.

fn read_clock(which: libc::clockid_t) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` outlives the call.
    unsafe { libc::clock_gettime(which, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Processor time of all threads of this process.
pub fn cpu_ns() -> i64 {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

pub fn wall_ns() -> i64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// What this process has in memory that is its own.
pub fn private_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages: Vec<i64> = text.split(' ').take(3).filter_map(|n| n.parse().ok()).collect();
    (pages[1] - pages[2]) * 4096
}

pub fn is_small() -> bool {
    std::env::args().nth(1).as_deref() == Some("--small")
}

pub fn print_row(name: &str, value: f64, unit: &str, checksum: u64) {
    println!("{name} {value:.3} {unit} {checksum}");
}

/// Runs `work(count)`, which gives a checksum, after a warm-up and prints the median of three.
pub fn measure(name: &str, count: i64, clock: fn() -> i64, work: impl Fn(i64) -> u64) {
    work(count / 16 + 1);
    let mut checksum = 0;
    let mut took: Vec<f64> = (0..3)
        .map(|_| {
            let before = clock();
            checksum = work(count);
            (clock() - before) as f64 / count as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    print_row(name, took[1], "ns", checksum);
}

/// Runs `work`, which is the same each time, after a warm-up, and prints the medians of three by both clocks, for one of
/// `count` parts: rows `NAME_cpu` and `NAME_wall`.
pub fn measure_both(name: &str, count: i64, mut work: impl FnMut() -> u64) {
    let mut checksum = work();
    let mut took = [[0.0; 3]; 2];
    for i in 0..3 {
        let before = [cpu_ns(), wall_ns()];
        checksum = work();
        took[0][i] = (cpu_ns() - before[0]) as f64 / count as f64;
        took[1][i] = (wall_ns() - before[1]) as f64 / count as f64;
    }
    for (clock, mut each) in ["cpu", "wall"].into_iter().zip(took) {
        each.sort_by(f64::total_cmp);
        print_row(&format!("{name}_{clock}"), each[1], "ns", checksum);
    }
}

/// The same pseudo-random number for `n` as in bench/measure.hpp.
pub fn scramble(n: u32) -> u32 {
    let n = (n ^ (n >> 16)).wrapping_mul(0x45d9f3b);
    n ^ (n >> 16)
}
