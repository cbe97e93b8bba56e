// Go's side of tasks_mt_bench: two goroutines that are bound to two threads, and channels.
package main

import (
	"os"
	"runtime"
)

func pingPong(count int64) uint64 {
	there, back := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for ball := range there {
			back <- ball
		}
	}()
	var played uint64
	for i := int64(0); i < count; i++ {
		there <- 1
		<-back
		played++
	}
	close(there)
	return played
}

// A call of a goroutine on another thread: what is to be run goes there with a channel for its answer. It runs in the goroutine
// that is called, for one of its own could be on any thread.
type request struct {
	run    func() uint64
	answer chan uint64
}

func callMany(count int64) uint64 {
	requests := make(chan request, 4096)
	go func() {
		runtime.LockOSThread()
		for one := range requests {
			one.answer <- one.run()
		}
	}()
	var sum uint64
	for i := int64(0); i < count; i++ {
		one := request{func() uint64 { return 1 }, make(chan uint64, 1)}
		requests <- one
		sum += <-one.answer
	}
	close(requests)
	return sum
}

func postMany(count int64) uint64 {
	posts, done := make(chan func(), 65536), make(chan int)
	var received uint64
	go func() {
		runtime.LockOSThread()
		for run := range posts {
			run()
		}
		close(done)
	}()
	for i := int64(0); i < count; i++ {
		posts <- func() { received++ }
	}
	close(posts)
	<-done
	return received
}

func main() {
	runtime.LockOSThread()
	scale := int64(1)
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		scale = 1000
	}
	measureWall("ping_pong", 10000/scale, pingPong)
	measureWall("call", 10000/scale, callMany)
	measureWall("post", 1000000/scale, postMany)
}
