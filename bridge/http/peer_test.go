package http

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"sluice/bridge"
)

// startPeer runs a receiver that shares nothing with us: Python's HTTP server, gzip and json.
func startPeer(t *testing.T) (address string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	peer := exec.Command(python, "testdata/receiver.py")
	out, err := peer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Process.Kill()
		peer.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the receiver does not say where it listens: %v", err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

func TestPythonReadsEveryForm(t *testing.T) {
	const n = 50
	for _, body := range []string{arrayBody, ndjsonBody, singleBody} {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s packed %v", body, packed), func(t *testing.T) {
				address := startPeer(t)
				l := connect(t, uplink(t, address, func(o *Options) { o.Body, o.Gzip, o.Count = body, packed, 20 }))
				var answers []sent
				for i := range n {
					answers = append(answers, send(t, l, i, "readings/line-3/press", fmt.Sprintf(`{"n":%d,"text":"zwölf\n\"%d\""}`, i, i)))
				}
				for i, s := range answers {
					if err := s.wait(t); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
				}
				if repeats := checkPeer(t, address, n); repeats != 0 {
					t.Errorf("%d idempotency keys came twice", repeats)
				}
			})
		}
	}
}

// TestPythonRefusesOneOfMany: the receiver refuses the batch, and the one at fault is found.
func TestPythonRefusesOneOfMany(t *testing.T) {
	const n, fault = 20, 11
	address := startPeer(t)
	l := connect(t, uplink(t, address, func(o *Options) { o.Count, o.Gzip, o.Linger = n, true, 1e9 }))
	var answers []sent
	for i := range n {
		payload := fmt.Sprintf(`{"n":%d,"text":"zwölf\n\"%d\""}`, i, i)
		if i == fault {
			payload = `{"refuse":true}`
		}
		answers = append(answers, send(t, l, i, "readings/line-3/press", payload))
	}
	for i, s := range answers {
		err := s.wait(t)
		refused, ok := errors.AsType[*bridge.RefusedError](err)
		switch {
		case i < fault && err != nil, i > fault && err != bridge.ErrHeld, i == fault && (!ok || refused.Retry):
			t.Errorf("message %d was answered with %v", i, err)
		case i == fault:
			contains(t, "the reason", refused.Reason, "422", "not that one")
		}
	}
	checkPeer(t, address, fault)
}

// TestPythonKnowsARepeatedBatch: what is sent again on the next connection bears the same marks.
func TestPythonKnowsARepeatedBatch(t *testing.T) {
	address := startPeer(t)
	u := uplink(t, address, func(o *Options) { o.Count, o.Linger = 5, 1e9 })
	for range 2 {
		l := connect(t, u)
		var answers []sent
		for i := range 5 {
			answers = append(answers, send(t, l, i, "readings/line-3/press", fmt.Sprintf(`{"text":"zwölf\n\"%d\""}`, i)))
		}
		for i, s := range answers {
			if err := s.wait(t); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
	}
	if repeats := checkPeer(t, address, 5); repeats != 1 {
		t.Errorf("%d idempotency keys came twice, want the batch's", repeats)
	}
}

func checkPeer(t *testing.T, address string, n int) (repeats int) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Taken   [][2]any
		Repeats int
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Taken) != n {
		t.Errorf("the receiver has %d messages, want %d", len(got.Taken), n)
	}
	for i, m := range got.Taken {
		id, text := fmt.Sprintf("line-3-1-%d", i), fmt.Sprintf("zwölf\n\"%d\"", i)
		if payload, ok := m[1].(map[string]any); m[0] != id || !ok || payload["text"] != text {
			t.Fatalf("message %d there is %v, want %s with %q", i, m, id, text)
		}
	}
	return got.Repeats
}
