package mqtt

import (
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/mqtt/packet"
)

const connectA = "100d 00044d515454 04 02 0000 000161"

func TestPacketsAndTheirAnswers(t *testing.T) {
	tests := []struct {
		name, send, want string
		open             bool
		line             string // in the gateway's log
	}{
		{"ping", connectA + "c000", "20020000 d000", true, ""},
		{"MQTT 3.1", "100f 00064d5149736470 03 02 0000 000161", "20020000", true, ""},
		{"goodbye", connectA + "e000", "20020000", false, ""},
		{"no client id", "100c 00044d515454 04 02 0000 0000", "20020000", true, ""},
		{"no client id and no clean session", "100c 00044d515454 04 00 0000 0000", "20020002", false, "client identifier is empty"},
		{"no client id in 3.1", "100e 00064d5149736470 03 02 0000 0000", "20020002", false, "client identifier is empty"},
		{"no clean session", "100d 00044d515454 04 00 0000 000161", "20020000", true, ""},
		{"MQTT 5", "100e 00044d515454 05 02 0000 00 000161", "200e00000b 2104002700001388220040", true, ""},
		{"MQTT 5 with a mistake", "1011 00044d515454 05 02 0000 03 210000 000161", "2003008200", false, "property 33 is 0"},
		{"MQTT 6", "100e 00044d515454 06 02 0000 00 000161", "2003008400", false, "level 6"},
		{"MQTT 2", "100d 00044d515454 02 02 0000 000161", "20020001", false, "level 2"},
		{"a private bridge", "100d 00044d515454 84 02 0000 000161", "20020001", false, "level 132"},
		{"another protocol", "100d 000448545450 04 02 0000 000161", "", false, "not MQTT"},
		{"HTTP", hex.EncodeToString([]byte("GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")), "", false, "connection lost"},
		{"a ping first", "c000", "", false, "MQTT-3.1.0-1"},
		{"CONNECT twice", connectA + connectA, "20020000", false, "MQTT-3.1.0-2"},
		{"a will with too many levels", "1018 00044d515454 04 06 0000 000161 0006 2f2f2f2f2f2f 000178", "20020003", false, "will topic"},
		{"CONNACK from a client", connectA + "20020000", "20020000", false, "CONNACK from a client"},
		{"AUTH from a client", connectA + "f000", "20020000", false, "packet type 15"},
		{"QoS 2", connectA + "3406 000161 0001 78 | 62020001", "20020000 50020001 70020001", true, ""},
		{"QoS 2 twice", connectA + "3406 000161 0001 78 3c06 000161 0001 78 | 62020001", "20020000 50020001 50020001 70020001", true, ""},
		{"PUBREL", connectA + "62020001", "20020000 70020001", true, ""},
		{"PUBREL in MQTT 5", "100e 00044d515454 05 02 0000 00 000161 62020001", "200e00000b 2104002700001388220040 7003000192", true, ""},
		{"QoS 1", connectA + "3206 000161 0007 78", "20020000 40020007", true, ""},
		{"QoS 1 again and again", connectA + "3206 000161 0007 78 3a06 000161 0007 78 3206 000161 0003 78", "20020000 40020007 40020007 40020003", true, ""},
		{"QoS 0 for itself", connectA + "8206 0001 000161 00 | 3004 000161 78", "20020000 9003000100 3004 000161 78", true, ""},
		{"retained", connectA + "8206 0001 000161 00 | 3104 000161 78 | 8206 0002 000161 00", "20020000 9003000100 3004 000161 78 9003000200 3104 000161 78", true, ""},
		{"a topic with a wildcard", connectA + "3004 00012b 78", "20020000", false, "MQTT-3.3.2-2"},
		{"too many levels", connectA + "3009 0006 2f2f2f2f2f2f 78", "20020000", false, "7 levels"},
		{"a filter with too many levels", connectA + "820b 0001 0006 2f2f2f2f2f2f 00", "20020000", false, "7 levels"},
		{"the gateway's topics", connectA + "8206 0001 000123 00 | 3209 0004 24535953 0007 78 | 3007 0004 24535953 78 c000", "20020000 9003000100 40020007 d000", true, ""},
		{"subscribe to QoS 2", connectA + "8206 0001 000161 02", "20020000 9003000102", true, ""},
		{"subscribe to three", connectA + "820e 0001 000161 00 000162 01 000163 02", "20020000 90050001000102", true, ""},
		{"a bad filter", connectA + "820a 0001 000161 00 00012b 03", "20020000", false, "QoS 3"},
		{"a wildcard in a level", connectA + "8207 0001 0002 612b 00", "20020000", false, "whole level"},
		{"a shared subscription", connectA + "820f 0001 000a 2473686172652f612f61 01", "20020000 9003000101", true, ""},
		{"too many subscriptions", connectA + "8216 0001 000161 00 000162 00 000163 00 000164 00 000161 01", "20020000 9007000100000080 01", true, "too many"},
		{"unsubscribe", connectA + "8206 0001 000161 00 a205 0002 000161 3004 000161 78 c000", "20020000 9003000100 b0020002 d000", true, ""},
		{"unsubscribe from nothing", connectA + "a205 0002 000161", "20020000 b0020002", true, ""},
		{"an unknown PUBACK", connectA + "40020007 8206 0001 000161 01 40020007 4002ffff c000", "20020000 9003000101 d000", true, ""},
		{"too large", connectA + "30c83e", "20020000", false, "packet too large"},
		{"packet type 0", connectA + "0000", "20020000", false, "packet type 0"},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{MaxLevels: 5, MaxSubscriptions: 3, MaxPacket: 5000})
				c := r.dial(t)
				for piece := range strings.SplitSeq(test.send, "|") {
					raw, err := hex.DecodeString(strings.ReplaceAll(piece, " ", ""))
					if err != nil {
						t.Fatal(err)
					}
					go c.socket.Write(raw) // it may be cut off in the middle
					synctest.Wait()
				}
				c.expect(test.want)
				if test.open {
					c.expectNothing()
				} else {
					c.expectEnd()
				}
				synctest.Wait()
				if got := r.lines.String(); test.line != "" && strings.Count(got, test.line) != 1 || test.line == "" && got != "" {
					t.Errorf("logged %q, want one line with %q", got, test.line)
				}
			})
		})
	}
}

func TestConnectMustComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial(t)
		begin := time.Now()
		c.send("100d 00044d51") // the beginning does not count
		c.expectEndAfter(begin, connectTimeout)
	})
}

func TestASilentClientIsClosedAfterOneAndAHalfKeepAlives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.connect(t, "a", func(p *packet.Connect) { p.KeepAlive = 10 })
		for range 5 {
			time.Sleep(14 * time.Second)
			c.send("c000")
			c.expect("d000")
		}
		c.expectEndAfter(time.Now(), 15*time.Second)
		synctest.Wait()
		if !strings.Contains(r.lines.String(), "keep-alive") {
			t.Errorf("logged %q", r.lines)
		}
	})
}

func TestWithoutKeepAliveAClientMayBeSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.connect(t, "a")
		time.Sleep(100 * time.Hour)
		c.send("c000")
		c.expect("d000")
	})
}

func (c *client) expectEndAfter(begin time.Time, want time.Duration) {
	c.t.Helper()
	for range c.frames {
		c.t.Fatal("got a packet, want the end of the connection")
	}
	if got := time.Since(begin); got != want {
		c.t.Errorf("the connection ended after %v, want %v", got, want)
	}
}

func TestANewConnectionTakesTheClientIdentifierOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		watcher := r.connect(t, "watcher")
		watcher.subscribe("#", 0)
		will := func(p *packet.Connect) {
			p.HasWill, p.Will = true, packet.Will{QoS: 1, Topic: []byte("status/a"), Payload: []byte("gone")}
		}
		first := r.connect(t, "a", will)
		second := r.connect(t, "a") // its CONNACK has come: what is left of the first came before
		first.expectEnd()
		second.publish(0, 0, "status/a", "here")
		for _, want := range []string{"gone", "here"} {
			if got := watcher.nextPublish(); string(got.Payload) != want {
				t.Errorf("got %q, want %q", got.Payload, want)
			}
		}
		second.send("c000")
		second.expect("d000")
		third := r.connect(t, "a")
		second.expectEnd()
		third.send("c000")
		third.expect("d000")
		if len(r.sessions) != 2 {
			t.Errorf("%d sessions are known, want 2", len(r.sessions))
		}
	})
}

func TestAWillIsPublishedUnlessTheClientSaysGoodbye(t *testing.T) {
	will := func(p *packet.Connect) {
		p.KeepAlive = 10
		p.HasWill, p.Will = true, packet.Will{QoS: 1, Retain: true, Topic: []byte("status/a"), Payload: []byte("gone")}
	}
	for name, test := range map[string]struct {
		end  func(r *rig, c *client)
		want int
	}{
		"disconnect":     {func(_ *rig, c *client) { c.send("e000") }, 0},
		"closed":         {func(_ *rig, c *client) { c.socket.Close() }, 1},
		"protocol error": {func(_ *rig, c *client) { c.send("e100") }, 1},
		"silent":         {func(*rig, *client) { time.Sleep(16 * time.Second) }, 1},
		"gateway stops":  {func(r *rig, _ *client) { r.stop() }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				c := r.connect(t, "a", will)
				test.end(r, c)
				synctest.Wait()
				got := r.log.messages()
				if len(got) != test.want {
					t.Fatalf("%d messages, want %d", len(got), test.want)
				}
				if test.want == 1 && (got[0].Topic != "status/a" || string(got[0].Payload) != "gone" || got[0].QoS != 1 || !got[0].Retain) {
					t.Errorf("the will became %+v", got[0])
				}
			})
		})
	}
}

func TestPasswords(t *testing.T) {
	known := passwords{"sensor", "secret"}
	as := func(user, password string) func(*packet.Connect) {
		return func(p *packet.Connect) {
			p.HasUser, p.User, p.HasPassword, p.Password = true, []byte(user), true, []byte(password)
		}
	}
	tests := []struct {
		name      string
		anonymous bool
		access    Access
		edit      func(*packet.Connect)
		want      string
	}{
		{"the right one", false, known, as("sensor", "secret"), "20020000"},
		{"a wrong one", false, known, as("sensor", "Secret"), "20020005"},
		{"no user", false, known, func(*packet.Connect) {}, "20020005"},
		{"no user, anonymous", true, known, func(*packet.Connect) {}, "20020000"},
		{"a wrong one, anonymous", true, known, as("sensor", ""), "20020005"},
		{"nobody is known, anonymous", true, everybody{}, as("sensor", "x"), "20020000"},
		{"nobody is known", false, everybody{}, as("sensor", "secret"), "20020005"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.options.Anonymous, r.options.Access = test.anonymous, test.access
				c := r.dial(t)
				c.connect("a", test.edit)
				c.expect(test.want)
				if test.want == "20020005" {
					c.expectEnd()
				}
				if strings.Contains(r.lines.String(), "secret") {
					t.Errorf("the log has the password: %s", r.lines)
				}
			})
		})
	}
}

func TestAFloodOfComplaintsIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		for range 3 * linesPerPeriod {
			r.warn("again")
		}
		if got := strings.Count(r.lines.String(), "again"); got != linesPerPeriod {
			t.Errorf("%d lines, want %d", got, linesPerPeriod)
		}
		time.Sleep(linePeriod)
		r.warn("once more")
		if !strings.Contains(r.lines.String(), "lines_left_out=60") {
			t.Errorf("nothing says how many lines were left out: %s", r.lines)
		}
	})
}
