package dial

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// proxySim is a proxy that knows both ways to ask, and remembers what it was asked.
type proxySim struct {
	user, password string // empty: whoever comes
	names          map[string]string
	greeting       string // sent to the client in one piece with the answer

	mu    sync.Mutex // guards what follows
	asked []string
}

func (p *proxySim) note(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, address)
}

// reach connects to what the client asked for; the sim's own names come first.
func (p *proxySim) reach(address string) (net.Conn, error) {
	p.note(address)
	if known, ok := p.names[address]; ok {
		address = known
	}
	return net.Dial("tcp", address)
}

// join carries bytes both ways until one side ends.
func join(a net.Conn, in io.Reader, b net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { io.Copy(b, in); b.Close() })
	both.Go(func() { io.Copy(a, b); a.Close() })
	both.Wait()
}

func (p *proxySim) connect(conn net.Conn) {
	in := bufio.NewReader(conn)
	request, err := http.ReadRequest(in)
	if err != nil || request.Method != http.MethodConnect {
		return
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password))
	if p.user != "" && request.Header.Get("Proxy-Authorization") != want {
		io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nno!\n")
		return
	}
	far, err := p.reach(request.Host)
	if err != nil {
		io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nVia: 1.1 sim\r\n\r\n"+p.greeting)
	join(conn, in, far)
}

func (p *proxySim) socks(conn net.Conn) {
	in := bufio.NewReader(conn)
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	methods := read(int(read(2)[1]))
	if p.user == "" {
		conn.Write([]byte{5, 0})
	} else if !bytes.Contains(methods, []byte{2}) {
		conn.Write([]byte{5, 0xff})
		return
	} else {
		conn.Write([]byte{5, 2})
		user := read(int(read(2)[1]))
		password := read(int(read(1)[0]))
		if string(user) != p.user || string(password) != p.password {
			conn.Write([]byte{1, 1})
			return
		}
		conn.Write([]byte{1, 0})
	}
	var host string
	switch kind := read(4)[3]; kind {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = net.IP(read(16)).String()
	}
	far, err := p.reach(net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(read(2))))))
	if err != nil {
		conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	conn.Write(append([]byte{5, 0, 0, 3, 3, 's', 'i', 'm', 0, 0}, p.greeting...))
	join(conn, in, far)
}

func TestDialGoesThroughAProxy(t *testing.T) {
	passwordFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(passwordFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	there := serve(t, shout)
	named := Proxy{Username: "sluice", PasswordFile: passwordFile}
	for _, kind := range []string{"socks5", "http"} {
		for _, c := range []struct {
			name, to       string
			user, password string
			proxy          Proxy
			want           string // of the error; empty: it works
		}{
			{"by name", "cloud.example:1883", "", "", Proxy{}, ""},
			{"by address", there, "", "", Proxy{}, ""},
			{"with a password", "cloud.example:1883", "sluice", "s3cret", named, ""},
			{"with a password that nobody asks for", "cloud.example:1883", "", "", named, ""},
			{"with a wrong password", "cloud.example:1883", "sluice", "other", named, "does not accept the user name or password; see proxy.username"},
			{"without a password", "cloud.example:1883", "sluice", "s3cret", Proxy{}, "wants a user name and password; see proxy.username"},
			{"to nobody", "127.0.0.1:1", "", "", Proxy{}, "the proxy "},
			{"to IPv6", "[::1]:1", "", "", Proxy{}, "the proxy "},
			{"with a missing password file", there, "", "", Proxy{Username: "u", PasswordFile: passwordFile + "x"}, "proxy.password_file"},
		} {
			t.Run(kind+" "+c.name, func(t *testing.T) {
				sim := proxySim{user: c.user, password: c.password, names: map[string]string{"cloud.example:1883": there}}
				handle := sim.connect
				if kind == "socks5" {
					handle = sim.socks
				}
				o := Default()
				o.Proxy = c.proxy
				o.Proxy.Address = kind + "://" + serve(t, handle)
				ctx, steps := trace(t.Context())
				conn, err := o.Dial(ctx, c.to)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Fatalf("error is %v, want %q", err, c.want)
				}
				if err != nil {
					if got, want := stepNames(*steps), "port open, proxy answered failed"; got != want {
						t.Errorf("the steps are %s, want %s", got, want)
					}
					if strings.Contains(err.Error(), "s3cret") {
						t.Errorf("the password is shown: %v", err)
					}
					return
				}
				defer conn.Close()
				converse(t, conn)
				if got, want := stepNames(*steps), "port open, proxy answered"; got != want {
					t.Errorf("the steps are %s, want %s", got, want)
				}
				sim.mu.Lock()
				defer sim.mu.Unlock()
				if len(sim.asked) != 1 || sim.asked[0] != c.to {
					t.Errorf("the proxy was asked for %q, want %q", sim.asked, c.to)
				}
			})
		}
	}
}

// TestNothingBehindTheProxysAnswerIsLost: a server may speak first.
func TestNothingBehindTheProxysAnswerIsLost(t *testing.T) {
	there := serve(t, shout)
	for _, kind := range []string{"socks5", "http"} {
		sim := proxySim{greeting: "welcome\n"}
		handle := sim.connect
		if kind == "socks5" {
			handle = sim.socks
		}
		o := Default()
		o.Proxy.Address = kind + "://" + serve(t, handle)
		conn, err := o.Dial(t.Context(), there)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "welcome\n" {
			t.Errorf("%s: behind the answer came %q (%v)", kind, line, err)
		}
	}
}

func TestAProxyOfTheOtherKindIsRecognised(t *testing.T) {
	for address, want := range map[string]string{
		"socks5://" + serve(t, func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			io.Copy(io.Discard, conn)
		}): "does not speak SOCKS5; write http://",
		"http://" + serve(t, func(conn net.Conn) { io.WriteString(conn, "\x05\xff\r\n\r\n"); io.Copy(io.Discard, conn) }): "does not speak HTTP; write socks5://",
		"socks5://" + serve(t, func(conn net.Conn) { io.ReadFull(conn, make([]byte, 3)) }):                                "the proxy has closed the connection; is it a SOCKS5 proxy?",
	} {
		o := Default()
		o.Proxy.Address = address
		if conn, err := o.Dial(t.Context(), "cloud.example:1883"); err == nil {
			conn.Close()
			t.Errorf("connected through %s", address)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want it to say %q", err, want)
		}
	}
}

func TestWhatAProxysStatusMeans(t *testing.T) {
	for status, want := range map[string]string{
		"200 OK": "", "204 No Content": "", "403 Forbidden": "many allow port 443 alone", "503 Gone": "does not reach the cloud",
		"418 I'm a \x1b[31mteapot": "refuses the connection (it answers CONNECT with 418 I'm a [31mteapot)",
	} {
		err := judgeConnect([]byte("HTTP/1.1 "+status+"\r\nContent-Length: 1000000\r\n\r\n"), false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q means %v, want %q", status, err, want)
		}
	}
}

// foreign is a connection whose other end has said all it will ever say.
type foreign struct{ io.Reader }

func (foreign) Write(b []byte) (int, error) { return len(b), nil }

func FuzzSocks5(f *testing.F) {
	f.Add([]byte("\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"), false)
	f.Add([]byte("\x05\x02\x01\x00\x05\x00\x00\x03\x03sim\x00\x00and more"), true)
	f.Add([]byte("\x05\x00\x05\x00\x00\x04aaaabbbbccccdddd\x00\x00"), false)
	f.Add([]byte("\x05\xff"), true)
	f.Add([]byte("\x05\x00\x05\x09\x00\x01"), false)
	f.Fuzz(func(t *testing.T, answer []byte, named bool) {
		user := ""
		if named {
			user = "sluice"
		}
		in := bytes.NewReader(answer)
		err := socks5(foreign{in}, "cloud.example:1883", user, "secret")
		if err == nil && (len(answer) < 12 || answer[0] != socksVersion) {
			t.Errorf("%x is taken for a yes", answer)
		}
		if err != nil && err.Error() == "" {
			t.Errorf("%x fails without a word", answer)
		}
	})
}

func FuzzHTTPConnect(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 Connection established\r\n\r\n\x20\x02\x00\x00"))
	f.Add([]byte("HTTP/1.0 407 Proxy Authentication Required\nProxy-Authenticate: Basic\n\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add(bytes.Repeat([]byte("a"), maxAnswer+1))
	f.Fuzz(func(t *testing.T, answer []byte) {
		in := bytes.NewReader(answer)
		err := httpConnect(foreign{in}, "cloud.example:443", "sluice", "secret")
		if err != nil {
			return
		}
		head := answer[:len(answer)-in.Len()]
		if !bytes.HasSuffix(head, []byte("\n\n")) && !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			t.Errorf("of %q it read up to %q", answer, head)
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/")) {
			t.Errorf("%q is taken for a yes", answer)
		}
	})
}
