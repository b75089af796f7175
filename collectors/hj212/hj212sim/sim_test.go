package hj212sim

import (
	"bufio"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPublishedChecksums(t *testing.T) {
	for segment, want := range map[string]int{
		"QN=20211022183050223;ST=32;CN=2011;PW=123456;MN=88880082086206;Flag=5;CP=&&RtdInterval=30&&":                                                 0xB041,
		"ST=32;CN=2011;PW=123456;MN=LD130133000015;CP=&&DataTime=20160824003817000;B01-Rtd=36.91;011-Rtd=231.0,011-Flag=N;060-Rtd=1.803,060-Flag=N&&": 0x4980,
	} {
		if got := crc(segment); got != want {
			t.Errorf("%s: %04X, want %04X", segment, got, want)
		}
	}
}

// A gateway that acknowledges at the second sending only: the logger sends again and is content then.
func TestLoggerSendsAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	l := New(Options{Address: listener.Addr().String(), Interval: 50 * time.Millisecond, OverTime: 20 * time.Millisecond, Redial: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	defer running.Wait()
	defer cancel()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	seen := map[string]int{}
	for l.Seen().Acked < 3 {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		h, ok := parse(line)
		if !ok || h["CN"] != "2011" || h["w01018-Rtd"] == "" || !strings.HasPrefix(h["QN"], h["DataTime"][:8]) {
			t.Fatalf("the logger sent %q", line)
		}
		if seen[h["QN"]]++; seen[h["QN"]] == 2 {
			conn.Write(frame("QN=" + h["QN"] + ";ST=91;CN=9014;PW=123456;MN=" + h["MN"] + ";Flag=4;CP=&&&&"))
		}
	}
	if c := l.Seen(); c.Repeated < 3 || c.Damaged != 0 {
		t.Errorf("the logger saw %+v", c)
	}
}
