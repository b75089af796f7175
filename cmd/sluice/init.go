package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"sluice/gateway"
	"sluice/gateway/config"
)

// The page of a fresh gateway must be reached from a laptop beside the cabinet, and the one-time code
// guards it. MQTT clients have no password yet, so only those on the machine itself are let in.
const (
	firstWeb  = "0.0.0.0:8080"
	firstMQTT = "127.0.0.1:1883"
	firstData = "data"
)

// first is the configuration of a gateway that nobody has set up.
var first = template.Must(template.New("first").Parse(`# Written at the first start. The page changes this file, and so may you: SIGHUP applies it,
# and sluice check names every mistake. docs/configuration.md explains each key.
gateway:
  name: {{.Name}}
store:
  dir: {{.Data}}
web:
  listen: "{{.Web}}"{{if .TLS}}
  tls: {}                # https on port 8443, where other machines are sent; docs/security.md{{end}}
mqtt:
  listen: ["{{.MQTT}}"]
  anonymous: true
`))

// begin writes the configuration where there is none and nothing was run before: a box that comes out of
// its packing is set up on the page. It is not asked about a file that was named on the command line: one
// that is missing is a mistake, perhaps in its name, and so it is where there is data.
func begin(path string, log *slog.Logger) error {
	_, err := os.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return nil // what else is wrong with it is said when it is read
	}
	data := filepath.Join(filepath.Dir(path), firstData)
	if _, err := os.Stat(data); err == nil {
		return usageErrorf("there is no configuration %s, but data of a gateway in %s; name its configuration with --config, or write a new one with sluice init", path, data)
	}
	if err := writeFirst(path, fresh{web: firstWeb, mqtt: firstMQTT, data: firstData}); err != nil {
		return usageError{err}
	}
	log.Info("the configuration of a fresh gateway was written", "file", path)
	return nil
}

// local says whether only the machine itself reaches an address: no password crosses a wire there.
func local(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func initialise(args []string) error {
	flags := flag.NewFlagSet("sluice init", flag.ContinueOnError)
	path := flags.String("config", "sluice.yaml", "the configuration file, which must not exist")
	keep := flags.Bool("keep", false, "leave a configuration that exists as it is, which is no mistake then")
	var wanted fresh
	flags.StringVar(&wanted.web, "web", firstWeb, "where the page is served")
	flags.StringVar(&wanted.mqtt, "mqtt", firstMQTT, "where MQTT clients connect, without a password")
	flags.StringVar(&wanted.data, "data", firstData, "where the gateway keeps its data, as seen from the configuration's folder")
	if err := parse(flags, args); err != nil {
		return err
	}
	err := writeFirst(*path, wanted)
	if *keep && errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	fmt.Printf("%s is written; sluice run --config %s starts the gateway, and its page leads on\n", *path, *path)
	return nil
}

// fresh is what may be different in the first configuration of a gateway.
type fresh struct{ web, mqtt, data string }

// writeFirst writes the configuration of a fresh gateway, and never over another.
func writeFirst(path string, wanted fresh) error {
	var text strings.Builder
	// The schema's own default for the name is the machine's, as far as a topic may have it.
	preset, err := config.Parse(path, nil, gateway.Kinds())
	if err != nil {
		return err
	}
	err = first.Execute(&text, map[string]any{"Name": preset.Gateway.Name, "Data": wanted.data, "Web": wanted.web, "MQTT": wanted.mqtt, "TLS": !local(wanted.web)})
	if err != nil {
		return err
	}
	if _, err := config.Parse(path, []byte(text.String()), gateway.Kinds()); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the configuration of a fresh gateway: %w", err)
	}
	_, err = file.WriteString(text.String())
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the configuration of a fresh gateway: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// welcome says where the first password is set; without a page, nowhere.
func welcome(web *config.Web, code string) string {
	listen, scheme := web.Listen, "http://"
	if web.TLS != nil {
		listen, scheme = web.TLS.Listen, "https://"
	}
	if listen == "" {
		return ""
	}
	places := make([]string, 0, mostPlaces)
	for _, host := range reachable(listen) {
		places = append(places, scheme+host)
	}
	return fmt.Sprintf("\nThis gateway has no password yet. Open %s and enter the code %s\n\n", strings.Join(places, " or "), code)
}

const mostPlaces = 4 // a machine with containers has dozens of addresses

// reachable lists what to type into a browser for an address that is listened at: of all addresses those
// that other machines may know.
func reachable(listen string) (hosts []string) {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{listen}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return []string{listen}
	}
	for _, a := range addresses {
		network, ok := a.(*net.IPNet)
		if ok && network.IP.To4() != nil && !network.IP.IsLoopback() && len(hosts) < mostPlaces {
			hosts = append(hosts, net.JoinHostPort(network.IP.String(), port))
		}
	}
	if len(hosts) == 0 {
		hosts = []string{net.JoinHostPort("127.0.0.1", port)}
	}
	return hosts
}
