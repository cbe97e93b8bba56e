// Go's side of timers_bench: goroutines that sleep, on one thread.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func scramble(n uint32) uint32 {
	n ^= n >> 16
	n *= 0x45d9f3b
	return n ^ n>>16
}

func lengthOf(n int64) time.Duration {
	return time.Duration(500000+scramble(uint32(n))%1000000) * time.Microsecond
}

func privateBytes() int64 {
	var total, resident, shared int64
	text, _ := os.ReadFile("/proc/self/statm")
	fmt.Sscan(string(text), &total, &resident, &shared)
	return (resident - shared) * 4096
}

func createAndCancel(count int64) uint64 {
	var cancelled uint64
	for i := int64(0); i < count; i++ {
		if time.AfterFunc(lengthOf(i), func() {}).Stop() {
			cancelled++
		}
	}
	return cancelled
}

func fire(count int64) uint64 {
	var woken uint64 // one thread, see tasks_go.go
	var all sync.WaitGroup
	all.Add(int(count))
	for i := int64(0); i < count; i++ {
		go func(length time.Duration) {
			time.Sleep(length)
			woken++
			all.Done()
		}(lengthOf(i))
	}
	all.Wait()
	return woken
}

// Leaves its goroutines behind, so it runs last.
func sleepAll(count int64) {
	runtime.GC()
	before := privateBytes()
	for i := int64(0); i < count; i++ {
		go time.Sleep(time.Hour)
	}
	time.Sleep(time.Second)
	used := max(privateBytes()-before, 0)
	fmt.Printf("sleeping_task/n=1000000 %.3f bytes %d\n", float64(used)/float64(count), count)
}

func main() {
	runtime.GOMAXPROCS(1)
	scale := int64(1)
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		scale = 1000
	}
	if len(os.Args) > 2 { // memory is measured in a process of its own, before anything was freed
		sleepAll(999000 / scale)
		return
	}
	arguments := []string{os.Args[0], "--full", "--sleep"}
	if scale != 1 {
		arguments[1] = "--small"
	}
	if child, err := os.StartProcess(os.Args[0], arguments,
		&os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}}); err == nil {
		child.Wait()
	}
	measure("create_cancel", 2000000/scale, createAndCancel)
	measure("fire/n=1000000", 1000000/scale, fire)
}
