// Go's side of flow_bench: channels, a mutex and select on one thread.
package main

import (
	"os"
	"runtime"
	"sync"
)

func pingPong(count int64) uint64 {
	there, back := make(chan uint64, 1), make(chan uint64, 1)
	go func() {
		for ball := range there {
			back <- ball
		}
	}()
	var played uint64
	for i := int64(0); i < count; i++ {
		there <- 1
		played += <-back
	}
	close(there)
	return played
}

func channelOf64(count int64) uint64 {
	items := make(chan uint64, 64)
	go func() {
		for i := uint64(0); i < uint64(count); i++ {
			items <- i
		}
		close(items)
	}()
	var sum uint64
	for item := range items {
		sum += item
	}
	return sum
}

func lockAndUnlock(count int64) uint64 {
	var door sync.Mutex
	var entered uint64
	for i := int64(0); i < count; i++ {
		door.Lock()
		entered++
		door.Unlock()
	}
	return entered
}

func selectReady(count int64) uint64 {
	items, never := make(chan uint64, 1), make(chan uint64, 1)
	var sum uint64
	for i := uint64(0); i < uint64(count); i++ {
		items <- i
		select {
		case item := <-items:
			sum += item
		case item := <-never:
			sum += item
		}
	}
	return sum
}

func selectWaits(count int64) uint64 {
	one, other := make(chan uint64), make(chan uint64)
	go func() {
		for i := int64(0); i < count; i++ {
			if i%2 == 0 {
				one <- uint64(i)
			} else {
				other <- uint64(i)
			}
		}
	}()
	var sum uint64
	for i := int64(0); i < count; i++ {
		select {
		case item := <-one:
			sum += item
		case item := <-other:
			sum += item
		}
	}
	return sum
}

func oneshots(count int64) uint64 {
	var sum uint64
	for i := uint64(0); i < uint64(count); i++ {
		answer := make(chan uint64, 1)
		answer <- i
		sum += <-answer
	}
	return sum
}

func main() {
	runtime.GOMAXPROCS(1)
	scale := int64(1)
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		scale = 1000
	}
	measure("channel_ping_pong", 2000000/scale, pingPong)
	measure("channel/capacity=64", 8000000/scale, channelOf64)
	measure("mutex", 10000000/scale, lockAndUnlock)
	measure("select_ready", 4000000/scale, selectReady)
	measure("select_waits", 2000000/scale, selectWaits)
	measure("oneshot", 4000000/scale, oneshots)
}
