// Go's side of system_bench: os/exec and net on one thread. The net package sends and receives one
// datagram with each call.
package main

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func spawn(count int64) uint64 {
	var ended uint64
	for i := int64(0); i < count; i++ {
		if exec.Command("/bin/true").Run() == nil {
			ended++
		}
	}
	return ended
}

var text = []byte("a datagram of thirty-two bytes..")

// Both sockets, the client connected to the server.
func open() (server, client *net.UDPConn) {
	anywhere := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
	server = must(net.ListenUDP("udp4", anywhere))
	client = must(net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr)))
	return server, client
}

func echo(at *net.UDPConn) {
	memory := make([]byte, 65536)
	for {
		size, from, err := at.ReadFromUDPAddrPort(memory)
		if err != nil {
			return // closed: it was measured
		}
		must(at.WriteToUDPAddrPort(memory[:size], from))
	}
}

func udpEcho(count int64) uint64 {
	server, client := open()
	defer client.Close()
	defer server.Close()
	go echo(server)
	memory := make([]byte, 65536)
	var received uint64
	for i := int64(0); i < count; i++ {
		must(client.Write(text))
		received += uint64(must(client.Read(memory)))
	}
	return received
}

func udpBatch(count int64) uint64 {
	server, client := open()
	defer client.Close()
	defer server.Close()
	memory := make([]byte, 65536)
	var received uint64
	for i := int64(0); i < count; i += 16 {
		for n := 0; n < 16; n++ {
			must(client.Write(text))
		}
		for n := 0; n < 16; n++ {
			received += uint64(must(server.Read(memory)))
		}
	}
	return received
}

func main() {
	runtime.GOMAXPROCS(1)
	scale := int64(1)
	if len(os.Args) > 1 && os.Args[1] == "--small" {
		scale = 100
	}
	measure("spawn", 1000/scale, spawn)
	measure("udp_echo", 100000/scale, udpEcho)
	measure("udp_one_way/batch=16", 160000/scale, udpBatch)
}
