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
	measureWall("post", 1000000/scale, postMany)
}
