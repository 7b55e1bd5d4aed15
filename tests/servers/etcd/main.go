// Command etcd is the real etcd server, built from its released modules; the
// test API server keeps its objects in it. It adds nothing of its own.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
