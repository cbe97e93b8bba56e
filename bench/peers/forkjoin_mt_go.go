// Go's side of forkjoin_mt_bench: a goroutine for each fork, on two threads. The problems and their sizes are those of
// bench/forkjoin_problems.hpp.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"
)

// Both clocks at once: the work takes seconds here.
func measureForks(name string, count int64, work func() uint64) {
	work()
	var cpu, wall [3]float64
	var checksum uint64
	for i := range cpu {
		before, began := cpuNs(), time.Now()
		checksum = work()
		cpu[i] = float64(cpuNs()-before) / float64(count)
		wall[i] = float64(time.Since(began).Nanoseconds()) / float64(count)
	}
	sort.Float64s(cpu[:])
	sort.Float64s(wall[:])
	fmt.Printf("%s_cpu %.3f ns %d\n", name, cpu[1], checksum)
	fmt.Printf("%s_wall %.3f ns %d\n", name, wall[1], checksum)
}

func callsOfFib(n int) int64 {
	if n < 2 {
		return 1
	}
	return callsOfFib(n-1) + callsOfFib(n-2) + 1
}

func fib(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	var a uint64
	var forked sync.WaitGroup
	forked.Add(1)
	go func() {
		a = fib(n - 1)
		forked.Done()
	}()
	b := fib(n - 2)
	forked.Wait()
	return a + b
}

// The column of each queen in the first rows.
type board [16]int8

func (on board) canTake(row, at int) bool {
	for i := 0; i < row; i++ {
		other := int(on[i])
		if other == at || other-at == row-i || at-other == row-i {
			return false
		}
	}
	return true
}

func (on board) with(row, at int) board {
	on[row] = int8(at)
	return on
}

func nodesOfQueens(on board, row, n int) int64 {
	nodes := int64(1)
	for at := 0; row < n && at < n; at++ {
		if on.canTake(row, at) {
			nodes += nodesOfQueens(on.with(row, at), row+1, n)
		}
	}
	return nodes
}

func queens(on board, row, n int) uint64 {
	if row == n {
		return 1
	}
	var found [16]uint64
	var forked sync.WaitGroup
	for at := 0; at < n; at++ {
		if !on.canTake(row, at) {
			continue
		}
		forked.Add(1)
		go func(at int, next board) {
			found[at] = queens(next, row+1, n)
			forked.Done()
		}(at, on.with(row, at))
	}
	forked.Wait()
	var sum uint64
	for _, one := range found {
		sum += one
	}
	return sum
}

func skynet(number uint64, leaves int64) uint64 {
	if leaves == 1 {
		return number
	}
	const fan = 10
	each := leaves / fan
	var found [fan]uint64
	var forked sync.WaitGroup
	forked.Add(fan)
	for i := int64(0); i < fan; i++ {
		go func(i int64) {
			found[i] = skynet(number+uint64(i*each), each)
			forked.Done()
		}(i)
	}
	forked.Wait()
	var sum uint64
	for _, one := range found {
		sum += one
	}
	return sum
}

type block struct {
	cells  []uint32
	stride int
}

func (of block) at(row, column int) block {
	return block{of.cells[row*of.stride+column:], of.stride}
}

const leafSize = 32

func multiplyLeaf(a, b, c block, size int) {
	for i := 0; i < size; i++ {
		sums := c.cells[i*c.stride:][:size]
		for k := 0; k < size; k++ {
			factor := a.cells[i*a.stride+k]
			row := b.cells[k*b.stride:][:len(sums)]
			for j := range sums {
				sums[j] += factor * row[j]
			}
		}
	}
}

func multiply(a, b, c block, size int) {
	if size <= leafSize {
		multiplyLeaf(a, b, c, size)
		return
	}
	h := size / 2
	for _, k := range [2]int{0, h} {
		var forked sync.WaitGroup
		forked.Add(3)
		fork := func(row, column int) {
			multiply(a.at(row, k), b.at(k, column), c.at(row, column), h)
			forked.Done()
		}
		go fork(0, 0)
		go fork(0, h)
		go fork(h, 0)
		multiply(a.at(h, k), b.at(k, h), c.at(h, h), h)
		forked.Wait()
	}
}

func scramble(n uint32) uint32 {
	n ^= n >> 16
	n *= 0x45d9f3b
	return n ^ n>>16
}

func multiplied(n int) func() uint64 {
	a, b := make([]uint32, n*n), make([]uint32, n*n)
	for i := range a {
		a[i], b[i] = scramble(uint32(i)), scramble(uint32(i+n*n))
	}
	c := make([]uint32, n*n)
	return func() uint64 {
		multiply(block{a, n}, block{b, n}, block{c, n}, n)
		var sum uint64
		for i := range c {
			sum += uint64(c[i])
			c[i] = 0
		}
		return sum
	}
}

func flatJob(number uint32) uint64 {
	value := number
	for left := 1000 * (1 + scramble(number)%20); left != 0; left-- {
		value = scramble(value + left)
	}
	return uint64(value)
}

func flat(jobs int) uint64 {
	found := make([]uint64, jobs)
	var forked sync.WaitGroup
	forked.Add(jobs)
	for i := 0; i < jobs; i++ {
		go func(i int) {
			found[i] = flatJob(uint32(i))
			forked.Done()
		}(i)
	}
	forked.Wait()
	var sum uint64
	for _, one := range found {
		sum += one
	}
	return sum
}

func main() {
	runtime.GOMAXPROCS(2)
	n, places, leaves, size, jobs := 32, 11, int64(1000000), 512, 1000
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		n, places, leaves, size, jobs = 12, 6, 1000, 64, 20
	}
	measureForks("fib", callsOfFib(n), func() uint64 { return fib(n) })
	measureForks("queens", nodesOfQueens(board{}, 0, places), func() uint64 { return queens(board{}, 0, places) })
	measureForks("skynet", leaves, func() uint64 { return skynet(0, leaves) })
	blocks := int64(size / leafSize)
	measureForks("matmul", blocks*blocks*blocks, multiplied(size))
	measureForks("flat", int64(jobs), func() uint64 { return flat(jobs) })
}
