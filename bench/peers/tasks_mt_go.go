// Go's side of tasks_mt_bench: two goroutines that are bound to two threads, and channels.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"time"
)

func measure(name string, count int64, work func(int64) uint64) {
	work(count/16 + 1)
	took := make([]float64, 3)
	var checksum uint64
	for i := range took {
		before := time.Now()
		checksum = work(count)
		took[i] = float64(time.Since(before).Nanoseconds()) / float64(count)
	}
	sort.Float64s(took)
	fmt.Printf("%s %.3f ns %d\n", name, took[1], checksum)
}

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
	measure("ping_pong", 10000/scale, pingPong)
	measure("post", 1000000/scale, postMany)
}
