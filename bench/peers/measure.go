// What all peers in Go measure with: the median of three, after a warm-up.
package main

import (
	"fmt"
	"sort"
	"syscall"
	"time"
)

func cpuNs() int64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}

var began = time.Now()

func wallNs() int64 { return time.Since(began).Nanoseconds() }

func measureBy(clock func() int64, name string, count int64, work func(int64) uint64) {
	work(count/16 + 1)
	took := make([]float64, 3)
	var checksum uint64
	for i := range took {
		before := clock()
		checksum = work(count)
		took[i] = float64(clock()-before) / float64(count)
	}
	sort.Float64s(took)
	fmt.Printf("%s %.3f ns %d\n", name, took[1], checksum)
}

// In time of the processor.
func measure(name string, count int64, work func(int64) uint64) {
	measureBy(cpuNs, name, count, work)
}

// By the wall clock, where waiting for the other side is what costs.
func measureWall(name string, count int64, work func(int64) uint64) {
	measureBy(wallNs, name, count, work)
}
