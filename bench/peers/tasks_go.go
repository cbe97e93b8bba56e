// Go's side of tasks_bench: goroutines on one thread.
package main

import (
	"os"
	"runtime"
	"sync"
)

func spawnAndAwait(count int64) uint64 {
	var sum uint64
	done := make(chan uint64)
	for i := int64(0); i < count; i++ {
		go func(n uint64) { done <- n }(uint64(i))
		sum += <-done
	}
	return sum
}

func spawnMany(count int64) uint64 {
	var sum uint64 // one thread: no two goroutines run at once, and none is preempted in the addition
	var all sync.WaitGroup
	all.Add(int(count))
	for i := int64(0); i < count; i++ {
		go func() {
			sum++
			all.Done()
		}()
	}
	all.Wait()
	return sum
}

func yieldBetweenTwo(count int64) uint64 {
	var turns uint64
	var both sync.WaitGroup
	both.Add(2)
	takeTurns := func(n int64) {
		for i := int64(0); i < n; i++ {
			runtime.Gosched()
			turns++
		}
		both.Done()
	}
	go takeTurns(count / 2)
	go takeTurns(count / 2)
	both.Wait()
	return turns
}

func joinTwo(count int64) uint64 {
	var sum uint64
	for i := int64(0); i < count; i++ {
		var both sync.WaitGroup
		var one, other uint64
		both.Add(2)
		go func() { one = uint64(i); both.Done() }()
		go func() { other = uint64(2 * i); both.Done() }()
		both.Wait()
		sum += one + other
	}
	return sum
}

func main() {
	runtime.GOMAXPROCS(1)
	scale := int64(1)
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		scale = 1000
	}
	measure("spawn_await", 2000000/scale, spawnAndAwait)
	measure("spawn_join/n=1000000", 1000000/scale, spawnMany)
	measure("yield", 8000000/scale, yieldBetweenTwo)
	measure("when_all_two", 1000000/scale, joinTwo)
}
