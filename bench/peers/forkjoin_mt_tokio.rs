//! Tokio's side of forkjoin_mt_bench: a spawned task for each fork, on its runtime for two threads. The problems and their
//! sizes are those of bench/forkjoin_problems.hpp.
use measure::{is_small, measure_both, scramble};
use std::future::Future;
use std::pin::Pin;

type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn calls_of_fib(n: i64) -> i64 {
    if n < 2 {
        return 1;
    }
    calls_of_fib(n - 1) + calls_of_fib(n - 2) + 1
}

fn fib(n: u64) -> Job<u64> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let forked = tokio::spawn(fib(n - 1));
        let b = fib(n - 2).await;
        forked.await.unwrap() + b
    })
}

/// The column of each queen in the first rows.
#[derive(Clone, Copy, Default)]
struct Board([i8; 16]);

impl Board {
    fn can_take(&self, row: usize, at: usize) -> bool {
        (0..row).all(|i| {
            let (away, rows) = (self.0[i] as i64 - at as i64, (row - i) as i64);
            away != 0 && away != rows && away != -rows
        })
    }
    fn with(mut self, row: usize, at: usize) -> Board {
        self.0[row] = at as i8;
        self
    }
}

fn nodes_of_queens(on: Board, row: usize, n: usize) -> i64 {
    if row == n {
        return 1;
    }
    let open = (0..n).filter(|&at| on.can_take(row, at));
    1 + open.map(|at| nodes_of_queens(on.with(row, at), row + 1, n)).sum::<i64>()
}

fn queens(on: Board, row: usize, n: usize) -> Job<u64> {
    Box::pin(async move {
        if row == n {
            return 1;
        }
        let open = (0..n).filter(|&at| on.can_take(row, at));
        let forked: Vec<_> = open.map(|at| tokio::spawn(queens(on.with(row, at), row + 1, n))).collect();
        let mut found = 0;
        for one in forked {
            found += one.await.unwrap();
        }
        found
    })
}

fn skynet(number: u64, leaves: u64) -> Job<u64> {
    Box::pin(async move {
        if leaves == 1 {
            return number;
        }
        let each = leaves / 10;
        let forked: Vec<_> = (0..10).map(|i| tokio::spawn(skynet(number + i * each, each))).collect();
        let mut sum = 0;
        for one in forked {
            sum += one.await.unwrap();
        }
        sum
    })
}

#[derive(Clone, Copy)]
struct Block {
    first: *mut u32,
    stride: usize,
}
// SAFETY: no two tasks that run at once write to the same block, and the matrices outlive all of them.
unsafe impl Send for Block {}
unsafe impl Sync for Block {}

impl Block {
    fn at(self, row: usize, column: usize) -> Block {
        Block { first: self.first.wrapping_add(row * self.stride + column), stride: self.stride }
    }
}

const LEAF: usize = 32;

#[inline(never)]
fn multiply_leaf(a: Block, b: Block, c: Block, size: usize) {
    for i in 0..size {
        for k in 0..size {
            // SAFETY: the rows are inside of their matrices, of which `c` is none of the others.
            unsafe {
                let factor = *a.first.add(i * a.stride + k);
                let row = std::slice::from_raw_parts(b.first.add(k * b.stride), size);
                let sums = std::slice::from_raw_parts_mut(c.first.add(i * c.stride), size);
                for (sum, one) in sums.iter_mut().zip(row) {
                    *sum = sum.wrapping_add(factor.wrapping_mul(*one));
                }
            }
        }
    }
}

fn multiply(a: Block, b: Block, c: Block, size: usize) -> Job<()> {
    Box::pin(async move {
        if size <= LEAF {
            return multiply_leaf(a, b, c, size);
        }
        let h = size / 2;
        for k in [0, h] {
            let part = |row, column| multiply(a.at(row, k), b.at(k, column), c.at(row, column), h);
            let forked = [tokio::spawn(part(0, 0)), tokio::spawn(part(0, h)), tokio::spawn(part(h, 0))];
            part(h, h).await;
            for one in forked {
                one.await.unwrap();
            }
        }
    })
}

struct Matrices {
    size: usize,
    a: Vec<u32>,
    b: Vec<u32>,
    c: Vec<u32>,
}

impl Matrices {
    fn new(size: usize) -> Matrices {
        let cells = (size * size) as u32;
        let (a, b) = ((0..cells).map(scramble).collect(), (cells..2 * cells).map(scramble).collect());
        Matrices { size, a, b, c: vec![0; size * size] }
    }
    fn product(&mut self) -> Job<()> {
        let of = |which: &mut Vec<u32>| Block { first: which.as_mut_ptr(), stride: self.size };
        multiply(of(&mut self.a), of(&mut self.b), of(&mut self.c), self.size)
    }
    fn checksum(&mut self) -> u64 {
        self.c.iter_mut().map(|one| std::mem::take(one) as u64).sum()
    }
}

#[inline(never)]
fn flat_job(number: u32) -> u64 {
    let mut value = number;
    for left in (1..=1_000 * (1 + scramble(number) % 20)).rev() {
        value = scramble(value.wrapping_add(left));
    }
    value as u64
}

fn flat(jobs: u32) -> Job<u64> {
    Box::pin(async move {
        let forked: Vec<_> = (0..jobs).map(|i| tokio::spawn(async move { flat_job(i) })).collect();
        let mut sum = 0;
        for one in forked {
            sum += one.await.unwrap();
        }
        sum
    })
}

fn main() {
    let (n, places, leaves) = if is_small() { (12, 6, 1_000) } else { (32, 11, 1_000_000) };
    let (size, jobs) = if is_small() { (64, 20) } else { (512, 1_000) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let run = |job: Job<u64>| runtime.block_on(runtime.spawn(job)).unwrap();
    measure_both("fib", calls_of_fib(n), || run(fib(n as u64)));
    measure_both("queens", nodes_of_queens(Board::default(), 0, places), || run(queens(Board::default(), 0, places)));
    measure_both("skynet", leaves, || run(skynet(0, leaves as u64)));
    let mut of = Matrices::new(size);
    let blocks = (size / LEAF) as i64;
    measure_both("matmul", blocks * blocks * blocks, || {
        runtime.block_on(runtime.spawn(of.product())).unwrap();
        of.checksum()
    });
    measure_both("flat", jobs as i64, || run(flat(jobs)));
}
