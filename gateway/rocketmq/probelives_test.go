package rocketmq_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/gateway/remoting"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// Clients that connect and then say nothing, or half of something, take nothing from those that speak.
func TestHalfOpenConnections(t *testing.T) {
	many := 1000
	if os.Getenv("SLUICE_LONG") == "1" {
		many = 9000 // both ends are in this process
	}
	eachTarget(t, func(t *testing.T, at target) {
		topic := makeTopic(t, at)
		neighbour := call(t, at.broker)
		half := frame(sending(topic, "never sent"))
		var silent []net.Conn
		for i := range many {
			conn, err := net.DialTimeout("tcp", at.broker, patience)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			defer conn.Close()
			if _, err := conn.Write(half[:[]int{0, 3, len(half) / 2}[i%3]]); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			silent = append(silent, conn)
		}
		began := time.Now()
		neighbour.must(sending(topic, "meanwhile"))
		late := call(t, at.broker)
		late.must(sending(topic, "and then"))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("two messages took %v", took)
		}
		for _, conn := range silent {
			conn.Close()
		}
		if got := late.must(pulling(ownName("group"), topic, 0)); !strings.Contains(string(got.Body), "meanwhile") {
			t.Error("what was sent meanwhile cannot be pulled")
		}
	})
}

// Pulls that are held for clients who are gone are gone as well. The real broker works them off first, and on
// a busy machine tells others that it is busy.
func TestHeldPullsEndWithTheirConnection(t *testing.T) {
	at := startGateway(t, "")
	topic := makeTopic(t, at)
	end := call(t, at.broker).must(request(remoting.GetMaxOffset, "topic", topic, "queueId", "0")).Ext.Get("offset")
	held := func(group string) *remoting.Command {
		pull := with(pulling(group, topic, 0), "queueOffset", end)
		return with(with(pull, "sysFlag", "6"), "suspendTimeoutMillis", "15000")
	}
	for range 100 {
		c := call(t, at.broker)
		for i := range 5 {
			pull := held(ownName("leaving"))
			pull.Opaque = int32(i)
			c.write(frame(pull))
		}
		c.conn.Close()
	}
	staying := call(t, at.broker)
	staying.write(frame(held(ownName("staying"))))
	if got := staying.outcome(hush); got != "silence" {
		t.Fatalf("a pull at the end of a queue: %s at once", got)
	}
	call(t, at.broker).must(sending(topic, "at last"))
	got, otherwise := staying.read(patience)
	if got == nil || got.Code != remoting.Success || !strings.Contains(string(got.Body), "at last") {
		t.Errorf("the pull that was held got %+v %s", got, otherwise)
	}
	// The same connection may hold a pull and be answered something else.
	staying.write(frame(with(held(ownName("again")), "queueOffset", "1000000")))
	if got := staying.ask(request(remoting.GetMinOffset, "topic", topic, "queueId", "0")); got.Code != remoting.Success {
		t.Errorf("beside a pull: code %d", got.Code)
	}
}

// A client that asks and does not read is no longer read from; others notice nothing. The real broker keeps
// every answer in memory, and others wait for tens of seconds.
func TestAnswersThatNobodyReads(t *testing.T) {
	at := startGateway(t, "")
	topic := makeTopic(t, at)
	body := strings.Repeat("x", 100_000)
	call(t, at.broker).must(sending(topic, body))
	deaf := call(t, at.broker)
	asked := frame(pulling(ownName("group"), topic, 0))
	writing := make(chan int, 1)
	go func() {
		n := 0
		deaf.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		for n < 5000 { // answers of 500 MB
			if _, err := deaf.conn.Write(asked); err != nil {
				break
			}
			n++
		}
		writing <- n
	}()
	for i := range 20 {
		call(t, at.broker).must(sending(topic, strconv.Itoa(i)))
	}
	t.Logf("%d pulls of %d bytes each were taken from a client that reads nothing", <-writing, len(body))
	call(t, at.broker).must(sending(topic, "still here"))
}

// What was popped and is not acknowledged comes again, counted.
func TestPopWithoutAcknowledgement(t *testing.T) {
	eachTarget(t, func(t *testing.T, at target) {
		topic, group := makeTopic(t, at), ownName("group")
		c := call(t, at.broker)
		c.must(withBody(request(remoting.UpdateAndCreateSubscriptionGroup), fmt.Appendf(nil, `{"groupName":%q,"consumeEnable":true,"retryQueueNums":1,"retryMaxTimes":16}`, group)))
		pop := func() (all []remoting.Stored) {
			got := c.ask(popping(group, topic, "2000", "1000"))
			for rest := got.Body; len(rest) > 0 && got.Code == remoting.Success; {
				s, after, err := remoting.ParseStored(rest)
				if err != nil {
					t.Fatal(err)
				}
				all, rest = append(all, s), after
			}
			return all
		}
		began := time.Now()
		var times []int32
		for deadline := began.Add(60 * time.Second); len(times) < 3 && time.Now().Before(deadline); {
			for _, s := range pop() {
				times = append(times, s.Reconsumed)
				if string(s.Body) != "first" {
					t.Errorf("popped %q", s.Body)
				}
				if len(times) == 2 && time.Since(began) < 1900*time.Millisecond {
					t.Errorf("it was invisible for %v only", time.Since(began))
				}
			}
		}
		if !slices.Equal(times, []int32{0, 1, 2}) {
			t.Errorf("it came with counts %v", times)
		}
	})
}

// A signature counts for what it was made over: the header's fields and the body.
func TestSignatures(t *testing.T) {
	const accessKey, secretKey = "probe", "probe-secret"
	ours := func(t *testing.T) target {
		return startGateway(t, fmt.Sprintf("  access:\n    - {access_key: %s, secret_key: %s, admin: true, publish: [\"*\"], subscribe: [\"*\"], groups: [\"*\"]}\n", accessKey, secretKey))
	}
	signed := func(c *remoting.Command, secret string) *remoting.Command {
		c.Ext.Set("AccessKey", accessKey)
		fields := slices.SortedFunc(slices.Values(c.Ext), func(a, b remoting.Field) int { return strings.Compare(a.Name, b.Name) })
		sum := hmac.New(sha1.New, []byte(secret))
		for _, f := range fields {
			sum.Write([]byte(f.Value))
		}
		sum.Write(c.Body)
		c.Ext.Set("Signature", base64.StdEncoding.EncodeToString(sum.Sum(nil)))
		return c
	}
	test := func(t *testing.T, at target) {
		topic := ownName("signed")
		c := call(t, at.broker)
		for _, s := range []struct {
			name    string
			request *remoting.Command
			want    int
		}{
			{"none", sending(topic, "x"), remoting.NoPermission},
			{"right", signed(sending(topic, "x"), secretKey), remoting.Success},
			{"of another secret", signed(sending(topic, "x"), "guessed"), remoting.NoPermission},
			{"for another body", withBody(signed(sending(topic, "x"), secretKey), []byte("y")), remoting.NoPermission},
			{"for another topic", with(signed(sending(topic, "x"), secretKey), "topic", topic+"2"), remoting.NoPermission},
			{"with a field more", with(signed(sending(topic, "x"), secretKey), "zone", "more"), remoting.NoPermission},
			{"that is empty", with(signed(sending(topic, "x"), secretKey), "Signature", ""), remoting.NoPermission},
			{"that is no base64", with(signed(sending(topic, "x"), secretKey), "Signature", "????"), remoting.NoPermission},
			{"without an access key", with(signed(sending(topic, "x"), secretKey), "AccessKey", absentField), remoting.NoPermission},
			{"of somebody unknown", with(signed(sending(topic, "x"), secretKey), "AccessKey", "nobody"), remoting.NoPermission},
			{"in a binary header", signed(inBinary(with(sending(topic, "x"), "properties", "a\x01b\x02")), secretKey), remoting.Success}, // an empty field is none there
			{"with a token", signed(with(sending(topic, "x"), "SecurityToken", "token"), secretKey), remoting.Success},
		} {
			got := c.ask(s.request)
			if got.Code != s.want {
				t.Errorf("a signature %s: code %d, %s; want %d", s.name, got.Code, got.Remark, s.want)
			}
			if got.Code == remoting.NoPermission && got.Remark == "" {
				t.Errorf("a signature %s: no word of why", s.name)
			}
		}
	}
	if *otherNameServer == "" {
		t.Run("gateway", func(t *testing.T) { test(t, ours(t)) })
	}
	if asksReal() {
		t.Run("real", func(t *testing.T) {
			test(t, startReal(t, rocketmqtest.Options{Broker: realAccess(accessKey, secretKey)}))
		})
	}
}

// realAccess has a real broker ask for signatures.
func realAccess(accessKey, secretKey string) map[string]string {
	user := fmt.Sprintf(`{"username":%q,"password":%q}`, accessKey, secretKey)
	return map[string]string{
		"authenticationEnabled": "true", "authenticationProvider": "org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider",
		"authenticationMetadataProvider": "org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider",
		"initAuthenticationUser":         user, "innerClientAuthenticationCredentials": fmt.Sprintf(`{"accessKey":%q,"secretKey":%q}`, accessKey, secretKey),
	}
}

// TLS and plain text come in by one port and are told apart by their first byte.
func TestTLSAndPlainTextOnOnePort(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	ours := func(t *testing.T) target {
		return startGateway(t, fmt.Sprintf("  tls: {cert: %q, key: %q}\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	}
	test := func(t *testing.T, at target) {
		topic := makeTopic(t, at)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			conn, err := tls.Dial("tcp", at.broker, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}) // a test's own certificate
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := &caller{t: t, conn: conn, r: bufio.NewReader(conn)}
			c.must(sending(topic, "sealed"))
			c.must(inBinary(sending(topic, "sealed, in binary")))
		}
		if got := call(t, at.broker).must(pulling(ownName("group"), topic, 0)); strings.Count(string(got.Body), "sealed") != 4 {
			t.Errorf("pulled %d messages", strings.Count(string(got.Body), "sealed"))
		}
		hello := call(t, at.broker)
		hello.write([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0})
		if got := hello.outcome(hush); got != "closed" && !at.real { // the real broker says nothing
			t.Errorf("a broken hello: %s", got)
		}
	}
	if *otherNameServer == "" {
		t.Run("gateway", func(t *testing.T) { test(t, ours(t)) })
	}
	if asksReal() {
		t.Run("real", func(t *testing.T) { test(t, sharedReal(t)) })
	}
}

// certificate writes one for 127.0.0.1 that is its own authority.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
