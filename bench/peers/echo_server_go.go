// Go's echo server: a goroutine for each connection.
package main

import (
	"fmt"
	"net"
	"runtime"
)

func echo(peer net.Conn) {
	defer peer.Close()
	buffer := make([]byte, 16*1024)
	for {
		size, err := peer.Read(buffer)
		if err != nil {
			return
		}
		if _, err = peer.Write(buffer[:size]); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	for {
		if peer, err := listener.Accept(); err == nil {
			go echo(peer)
		}
	}
}
