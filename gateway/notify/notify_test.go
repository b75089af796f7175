package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/gateway/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var hot = rules.Event{
	Gateway: "line-3", Alarm: "hot", State: rules.Raised, Severity: "critical", Device: "press", Point: "t",
	Text: "press t is 91", TextZH: "press 温度为 91", Time: 1795345665221, Since: 1795345665221, ID: "a1",
}

func TestMailGoesByEachKindOfConnection(t *testing.T) {
	for _, mode := range []string{"starttls", "tls", "none"} {
		s := startMail(t, mode, "open sesame")
		way := mailer{config.NotifyEmail{
			Server: s.addr, From: "Sluice <sluice@example.com>", To: []string{"a@example.com", "b@example.com"}, TLS: mode, CA: s.ca,
			Username: "sluice", PasswordFile: secretFile(t, "open sesame"),
		}}
		began := hot.Time
		l := compose("line-3", "zh", []Line{{Event: hot, Began: &began}}, 0, hot.Time)
		l.ID = "sluice-line-3-shift-7-1"
		if err := way.send(t.Context(), &l); err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		letters := s.got()
		if len(letters) != 1 || s.secured[0] != (mode != "none") {
			t.Fatalf("%s: came %d letters, secured %v", mode, len(letters), s.secured)
		}
		headers, _, _ := strings.Cut(strings.ReplaceAll(letters[0], "\r\n ", " "), "\r\n\r\n")
		for _, want := range []string{"Message-ID: <sluice-line-3-shift-7-1@example.com>", "Auto-Submitted: auto-generated"} {
			if !strings.Contains(headers, want) {
				t.Errorf("%s: the letter lacks %q:\n%s", mode, want, headers)
			}
		}
		_, subject, _ := strings.Cut(headers, "Subject: ")
		subject, _, _ = strings.Cut(subject, "\r\n")
		if got, err := new(mime.WordDecoder).DecodeHeader(subject); err != nil || got != "[line-3] 严重：press 温度为 91" {
			t.Errorf("%s: the subject is %q, %v", mode, got, err)
		}
	}
}

func TestWhatAMailServerRefusesIsToldInItsWords(t *testing.T) {
	s := startMail(t, "starttls", "open sesame")
	to := config.NotifyEmail{Server: s.addr, From: "s@example.com", To: []string{"a@example.com"}, TLS: "starttls", CA: s.ca, Username: "sluice", PasswordFile: secretFile(t, "wrong")}
	l := testLetter("line-3", "shift", "en", 1)
	l.ID = "x"
	for _, c := range []struct {
		what, want string
		change     func(*config.NotifyEmail)
	}{
		{"a wrong password", "535", func(*config.NotifyEmail) {}},
		{"a temporary refusal", "451", func(e *config.NotifyEmail) {
			e.PasswordFile = secretFile(t, "open sesame")
			s.refuse("451 4.3.0 try later")
		}},
		{"a permanent refusal", "554", func(e *config.NotifyEmail) { s.refuse("554 5.7.1 no such thing") }},
		{"an unknown authority", "certificate", func(e *config.NotifyEmail) { e.CA = "" }},
		{"a server without TLS", "STARTTLS", func(e *config.NotifyEmail) {
			plain := startMail(t, "none", "")
			e.Server, e.Username = plain.addr, ""
		}},
	} {
		c.change(&to)
		if err := (mailer{to}).send(t.Context(), &l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

func TestAWebhookIsSigned(t *testing.T) {
	settings, ca := certificate(t)
	var body []byte
	var headers http.Header
	status := http.StatusOK
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		headers = r.Header
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "said the server")
	}))
	server.TLS = settings
	server.StartTLS()
	defer server.Close()
	way := hook{config.NotifyWebhook{URL: server.URL, SecretFile: secretFile(t, "key"), Headers: map[string]string{"X-Plant": "hall 3"}, CA: ca}}
	began := hot.Time
	l := compose("line-3", "en", []Line{{Event: hot, Began: &began}}, 0, hot.Time)
	l.ID = "n1"
	if err := way.send(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	var got Letter
	if err := json.Unmarshal(body, &got); err != nil || len(got.Events) != 1 || got.Events[0].ID != "a1" || got.Subject != "[line-3] CRITICAL: press t is 91" {
		t.Errorf("the body is %s, %v", body, err)
	}
	if headers.Get(Signature) != sign([]byte("key"), body) || headers.Get("X-Plant") != "hall 3" || headers.Get("Sluice-Delivery") != "n1" {
		t.Errorf("the headers are %v", headers)
	}
	for _, status = range []int{http.StatusFound, http.StatusForbidden, http.StatusServiceUnavailable} {
		if err := way.send(t.Context(), &l); err == nil || !strings.Contains(err.Error(), "said the server") {
			t.Errorf("%d gives %v", status, err)
		}
	}
}

// fakeLog is the log as the notifier reads it, and its shelf.
type fakeLog struct {
	mu      sync.Mutex // guards what follows
	records []message.Record
	grown   chan struct{}
	shelf   []byte
	done    message.Position
}

func (l *fakeLog) tell(e rules.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, message.Record{Position: message.Position(len(l.records) + 1), Message: *e.Message()})
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *fakeLog) Next(ctx context.Context, from message.Position, dst []message.Record, _ int) ([]message.Record, message.Position, error) {
	for {
		l.mu.Lock()
		grown := l.grown
		if int(from) <= len(l.records) {
			dst = append(dst, l.records[from-1:]...)
			l.mu.Unlock()
			return dst, from + message.Position(len(dst)), nil
		}
		l.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return dst, from, ctx.Err()
		}
	}
}

func (l *fakeLog) Matching(from message.Position, dst []message.Record, _ int, _ string) ([]message.Record, message.Position, error) {
	return dst, from, nil
}
func (l *fakeLog) Done(upTo message.Position) { l.done = upTo }
func (l *fakeLog) Tail() message.Position     { return message.Position(len(l.records)) }
func (l *fakeLog) Head() message.Position     { return 1 }
func (l *fakeLog) Epoch() (uint64, error)     { return 7, nil }
func (l *fakeLog) Close()                     {}
func (l *fakeLog) Forget() error              { return nil }
func (l *fakeLog) Get() ([]byte, error)       { return l.shelf, nil }
func (l *fakeLog) Put(text []byte) error      { l.shelf = text; return nil }

// fakeWay takes letters, or fails.
type fakeWay struct {
	mu      sync.Mutex // guards what follows
	letters []Letter
	tries   int
	down    bool
}

func (w *fakeWay) send(_ context.Context, l *Letter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	if w.down {
		return errors.New("no route to host")
	}
	w.letters = append(w.letters, *l)
	return nil
}

// got gives what was taken, and after how many tries.
func (w *fakeWay) got() ([]Letter, int) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Letter{}, w.letters...), w.tries
}

func (w *fakeWay) set(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

// runNotifier runs one until the function that it gives is called.
func runNotifier(t *testing.T, l *fakeLog, w *fakeWay, n config.Notify, active ...rules.Alarm) (*Notifier, func()) {
	t.Helper()
	n.Name, n.Language = "shift", "en"
	one := New(Options{
		Gateway: "line-3", Notify: n, Alarms: []config.Alarm{{Name: "hot", Notify: []string{"shift"}}, {Name: "other"}}, Keep: l,
		Open: func([]string) (rules.Source, error) { return l, nil }, Active: func() []rules.Alarm { return active },
	})
	one.way = w
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := one.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return one, func() { cancel(); running.Wait() }
}

func event(id, state string) rules.Event {
	e := hot
	e.ID, e.State, e.Time, e.Text = id, state, time.Now().UnixMilli(), "press "+id
	return e
}

func TestAnOutageOfTheServerLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &fakeLog{grown: make(chan struct{})}, &fakeWay{down: true}
		n, stop := runNotifier(t, l, w, config.Notify{PerHour: 10})
		other := event("o", rules.Raised)
		other.Alarm = "other"
		l.tell(other)
		l.tell(event("a", rules.Raised))
		l.tell(event("b", rules.Raised))
		time.Sleep(time.Hour)
		l.tell(event("b", rules.Cleared))
		time.Sleep(time.Minute)
		_, tries := w.got()
		if s := n.State(); s.Waiting != 2 || s.LastError != "no route to host" || s.NextTry.IsZero() || tries < 12 || tries > 25 {
			t.Errorf("after an hour it is %+v with %d tries", s, tries)
		}
		stop() // a restart
		if l.done != 4 {
			t.Errorf("it keeps the log from position %d on", l.done)
		}
		n, stop = runNotifier(t, l, w, config.Notify{PerHour: 10})
		defer stop()
		w.set(false)
		time.Sleep(6 * time.Minute)
		letters, _ := w.got()
		if len(letters) != 1 || len(letters[0].Events) != 2 || letters[0].Events[1].Ended == nil || letters[0].Subject != "[line-3] 2 alarms, CRITICAL: press a" {
			t.Fatalf("told was %+v", letters)
		}
		if !strings.Contains(letters[0].Text, "over by now") || n.State().Waiting != 0 {
			t.Errorf("the text is\n%s", letters[0].Text)
		}
	})
}

func TestBeyondTheBoundOfAnHourThingsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &fakeLog{grown: make(chan struct{})}, &fakeWay{}
		_, stop := runNotifier(t, l, w, config.Notify{PerHour: 3})
		defer stop()
		for i := range 300 {
			l.tell(event(string(rune('a'+i%26))+string(rune('a'+i/26)), rules.Raised))
			time.Sleep(10 * time.Second)
		}
		letters, _ := w.got()
		if len(letters) != 3 {
			t.Errorf("within an hour %d were sent", len(letters))
		}
		time.Sleep(time.Hour)
		letters, _ = w.got()
		last := letters[len(letters)-1]
		if len(letters) > 6 || len(letters[3].Events) != maxLines || letters[3].More == 0 {
			t.Errorf("then %d were sent, the last with %d events and %d more", len(letters), len(last.Events), last.More)
		}
		told := 0
		for _, letter := range letters {
			told += len(letter.Events) + letter.More
		}
		if told != 300 {
			t.Errorf("%d events were told of 300", told)
		}
	})
}

func TestWhatNobodyAcknowledgesIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &fakeLog{grown: make(chan struct{})}, &fakeWay{}
		now := time.Now().UnixMilli()
		_, stop := runNotifier(t, l, w, config.Notify{PerHour: 10, Remind: config.Duration(4 * time.Hour)},
			rules.Alarm{ID: "a", Alarm: "hot", Severity: "critical", Since: now, Text: "press is hot"},
			rules.Alarm{ID: "b", Alarm: "hot", Severity: "critical", Since: now, Acked: &rules.Acknowledgement{By: "li"}},
			rules.Alarm{ID: "c", Alarm: "other", Severity: "critical", Since: now})
		defer stop()
		time.Sleep(13 * time.Hour)
		letters, _ := w.got()
		if len(letters) != 3 || letters[0].Kind != "reminder" || len(letters[0].Events) != 1 || letters[0].ID == letters[1].ID {
			t.Errorf("told was %+v", letters)
		}
	})
}

func FuzzOutbox(f *testing.F) {
	f.Add([]byte(`{"version":1,"epoch":7,"position":3,"lines":[{"alarm":"hot","state":"raised","severity":"critical","device":"press","text":"hot","ts":1,"id":"a","since":1,"raised":1}],"more":2,"sent":[1,2],"reminded":0,"number":4}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := decodeOutbox(in)
		if err != nil {
			return
		}
		o.add(event("a", rules.Cleared))
		o.wait(hour, 1)
		_ = compose("g", "zh", o.Lines, o.More, 1)
		if _, err := decodeOutbox(o.encode()); err != nil {
			t.Errorf("%s does not survive a round trip: %v", in, err)
		}
	})
}
