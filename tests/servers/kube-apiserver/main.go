// Command kube-apiserver is the real Kubernetes API server, built from its
// released modules so that the end-to-end tests need no cluster and no image
// registry. It adds nothing of its own.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
