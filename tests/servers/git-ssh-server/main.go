// Command git-ssh-server serves the git repositories of a folder over ssh, as
// a forge does: with golang.org/x/crypto/ssh, and the machine's own git behind
// it. It also makes keys, in every format that ssh's tools write. It is there
// for tests only: what it serves is what the test has put into the folder.
//
//	git-ssh-server --version
//	git-ssh-server key --type TYPE --format FORMAT --out FILE
//	git-ssh-server serve --folder DIR --host-key FILE... --authorized FILE
//	                     [--user NAME] [--protocol 0|2] [--hang WHEN]
//
// serve listens on a free port of 127.0.0.1 and prints the address.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// version is part of the folder that the program is installed into: a change
// of this file needs another one.
const version = "1.0.0"

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("say key or serve")
	}
	var err error
	switch os.Args[1] {
	case "--version":
		fmt.Println("git-ssh-server", version)
	case "key":
		err = makeKey(os.Args[2:])
	case "serve":
		err = serve(os.Args[2:])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// makeKey writes a private key to a file, and its public half beside it.
func makeKey(args []string) error {
	flags := flag.NewFlagSet("key", flag.ExitOnError)
	kind := flags.String("type", "ed25519", "ed25519, ecdsa256, ecdsa384, ecdsa521, rsa")
	format := flags.String("format", "openssh", "openssh, encrypted, pkcs8, pkcs1, sec1")
	out := flags.String("out", "", "the file")
	flags.Parse(args)
	private, err := generate(*kind)
	if err != nil {
		return err
	}
	block, err := encode(private, *format)
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*out, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.WriteFile(*out+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644)
}

func generate(kind string) (crypto.Signer, error) {
	curves := map[string]elliptic.Curve{
		"ecdsa256": elliptic.P256(), "ecdsa384": elliptic.P384(), "ecdsa521": elliptic.P521(),
	}
	if curve, found := curves[kind]; found {
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
	switch kind {
	case "ed25519":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("unknown type %q", kind)
}

func encode(private crypto.Signer, format string) (*pem.Block, error) {
	switch format {
	case "openssh":
		return ssh.MarshalPrivateKey(private, "test")
	case "encrypted":
		return ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte("word"))
	case "pkcs8":
		der, err := x509.MarshalPKCS8PrivateKey(private)
		return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, err
	case "pkcs1":
		if key, is := private.(*rsa.PrivateKey); is {
			return &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, nil
		}
	case "sec1":
		if key, is := private.(*ecdsa.PrivateKey); is {
			der, err := x509.MarshalECPrivateKey(key)
			return &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}, err
		}
	}
	return nil, fmt.Errorf("no format %q for this key", format)
}

// repositories is what one run of serve is told.
type repositories struct {
	folder   string
	protocol string
	hang     string
}

type names []string

func (n *names) String() string         { return strings.Join(*n, ",") }
func (n *names) Set(value string) error { *n = append(*n, value); return nil }

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	served := repositories{}
	flags.StringVar(&served.folder, "folder", "", "the folder with the repositories")
	flags.StringVar(&served.protocol, "protocol", "2", "2 lets clients choose a version of git's protocol")
	flags.StringVar(&served.hang, "hang", "", "before: says nothing; exec: takes the command and never answers")
	user := flags.String("user", "git", "who may log in")
	authorized := flags.String("authorized", "", "the file with the public keys that may log in")
	hosts := names{}
	flags.Var(&hosts, "host-key", "a file with a host key")
	flags.Parse(args)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(who ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			// Read each time: a test gives and takes keys while it runs.
			good, err := isAuthorized(*authorized, key)
			if err == nil && (who.User() != *user || !good) {
				err = errors.New("not authorized")
			}
			return nil, err
		},
	}
	for _, file := range hosts {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		signer, err := ssh.ParsePrivateKey(text)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		config.AddHostKey(signer)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go served.speak(connection, config)
	}
}

func isAuthorized(file string, key ssh.PublicKey) (bool, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	for len(bytes.TrimSpace(rest)) > 0 {
		found, _, _, next, err := ssh.ParseAuthorizedKey(rest)
		if err != nil {
			return false, err
		}
		if bytes.Equal(found.Marshal(), key.Marshal()) {
			return true, nil
		}
		rest = next
	}
	return false, nil
}

func (r *repositories) speak(connection net.Conn, config *ssh.ServerConfig) {
	defer connection.Close()
	if r.hang == "before" {
		io.Copy(io.Discard, connection)
		return
	}
	server, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		log.Println("no login:", err)
		return
	}
	defer server.Close()
	go ssh.DiscardRequests(requests)
	for opened := range channels {
		if opened.ChannelType() != "session" {
			opened.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := opened.Accept()
		if err != nil {
			return
		}
		go r.session(channel, requests)
	}
}

// session takes environment variables until a command comes, and runs that.
func (r *repositories) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	environment := os.Environ()
	for request := range requests {
		switch request.Type {
		case "env":
			var variable struct{ Name, Value string }
			good := ssh.Unmarshal(request.Payload, &variable) == nil &&
				variable.Name == "GIT_PROTOCOL" && r.protocol == "2"
			if good {
				environment = append(environment, variable.Name+"="+variable.Value)
			}
			request.Reply(good, nil)
		case "exec":
			var command struct{ Line string }
			if err := ssh.Unmarshal(request.Payload, &command); err != nil {
				request.Reply(false, nil)
				return
			}
			request.Reply(true, nil)
			if r.hang == "exec" {
				continue
			}
			status := r.run(channel, command.Line, environment)
			channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			return
		default:
			request.Reply(false, nil)
		}
	}
}

// run is the shell of this server: it knows one command.
func (r *repositories) run(channel ssh.Channel, line string, environment []string) uint32 {
	path, found := strings.CutPrefix(line, "git-upload-pack '")
	path, quoted := strings.CutSuffix(path, "'")
	if !found || !quoted || strings.Contains(path, "'") {
		fmt.Fprintf(channel.Stderr(), "unknown command %s\n", line)
		return 127
	}
	folder := filepath.Join(r.folder, filepath.Clean("/"+path))
	if _, err := os.Stat(folder); err != nil {
		fmt.Fprintln(channel.Stderr(), "ERROR: Repository not found.")
		return 1
	}
	git := exec.Command("git", "upload-pack", folder)
	git.Env = append(environment, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	git.Stdout, git.Stderr = channel, channel.Stderr()
	// A pipe, as git's end must not wait for the client's.
	input, err := git.StdinPipe()
	if err == nil {
		err = git.Start()
	}
	if err == nil {
		go func() {
			io.Copy(input, channel)
			input.Close()
		}()
		err = git.Wait()
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return uint32(exit.ExitCode())
		}
		fmt.Fprintln(channel.Stderr(), err)
		return 126
	}
	return 0
}
