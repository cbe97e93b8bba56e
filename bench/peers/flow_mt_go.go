// Go's side of flow_mt_bench: goroutines on two threads.
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

func spread(count int64, parties int64) uint64 {
	items := make(chan uint64, 1024)
	sums := make([]uint64, parties)
	var producers, consumers sync.WaitGroup
	for p := int64(0); p < parties; p++ {
		producers.Add(1)
		go func(first int64) {
			for i := first; i < first+count/parties; i++ {
				items <- uint64(i)
			}
			producers.Done()
		}(p * (count / parties))
		consumers.Add(1)
		go func(out *uint64) {
			for item := range items {
				*out += item
			}
			consumers.Done()
		}(&sums[p])
	}
	producers.Wait()
	close(items)
	consumers.Wait()
	var sum uint64
	for _, one := range sums {
		sum += one
	}
	return sum
}

func main() {
	runtime.GOMAXPROCS(2)
	scale := int64(1)
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		scale = 1000
	}
	measureWall("channel_ping_pong", 200000/scale, pingPong)
	measureWall("channel_one_to_one/capacity=1024", 4000000/scale, func(n int64) uint64 { return spread(n, 1) })
	measureWall("channel_two_to_two/capacity=1024", 4000000/scale, func(n int64) uint64 { return spread(n, 2) })
}
