package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func all(*Entry) bool { return true }

// logger writes into a journal and, as text, into out.
func logger(j *Journal, out *bytes.Buffer) *slog.Logger {
	return slog.New(j.Handler(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

func TestEntriesHavePartAndDetails(t *testing.T) {
	j, out := New(), &bytes.Buffer{}
	log := logger(j, out).With("part", "buses").With("bus", "rs1")
	log.WithGroup("port").Warn("line lost", "err", errors.New("no such device"), slog.Group("at", "baud", 9600))
	got := j.Before(0, 10, all)
	if len(got) != 1 || got[0].Part != "buses" || got[0].Level != slog.LevelWarn || got[0].Text != "line lost" || got[0].Number != 1 {
		t.Fatalf("got %+v", got)
	}
	want := []Attr{{"bus", "rs1"}, {"port.err", "no such device"}, {"port.at.baud", "9600"}}
	if !slices.Equal(got[0].Attrs, want) {
		t.Errorf("got %v, want %v", got[0].Attrs, want)
	}
	if text := out.String(); !strings.Contains(text, `msg="line lost" part=buses bus=rs1 port.err="no such device" port.at.baud=9600`) {
		t.Errorf("standard error got %s", text)
	}
}

func TestTheOldestEntriesGo(t *testing.T) {
	j, out := New(), &bytes.Buffer{}
	log := logger(j, out)
	for i := range keptEntries + 100 {
		log.Info("tick", "n", i)
	}
	entries, lost, _ := j.After(0, 10)
	if lost != 100 || len(entries) != 10 || entries[0].Number != 101 {
		t.Errorf("%d entries from %d on, %d lost", len(entries), entries[0].Number, lost)
	}
	for range 1000 {
		log.Info("large", "value", strings.Repeat("x", 10_000))
	}
	if j.bytes > keptBytes || len(j.entries) < 100 {
		t.Errorf("%d bytes in %d entries", j.bytes, len(j.entries))
	}
	if e := j.Before(0, 1, all); len(e[0].Attrs[0].Value) > maxValue+3 {
		t.Errorf("a value has %d bytes", len(e[0].Attrs[0].Value))
	}
}

func TestPagesAndFilters(t *testing.T) {
	j, out := New(), &bytes.Buffer{}
	log := logger(j, out)
	for i := range 10 {
		log.With("part", []string{"web", "store"}[i%2]).Info("tick", "n", i)
	}
	web := func(e *Entry) bool { return e.Part == "web" }
	first := j.Before(0, 2, web)
	rest := j.Before(first[1].Number, 10, web)
	if len(first) != 2 || first[0].Number != 9 || len(rest) != 3 || rest[0].Number != 5 {
		t.Errorf("first %v, rest %v", first, rest)
	}
	if got := j.Parts(); !slices.Equal(got, []string{"store", "web"}) {
		t.Errorf("parts are %v", got)
	}
	if entries, lost, grown := j.After(10, 5); len(entries) != 0 || lost != 0 {
		t.Errorf("%d entries beyond the end, %d lost", len(entries), lost)
	} else {
		log.Info("more")
		<-grown
	}
}

func TestALevelGoesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, out := New(), &bytes.Buffer{}
		log := logger(j, out)
		buses := log.With("part", "buses")
		seen := func() string {
			log.Debug("one")
			buses.Debug("two")
			var texts []string
			for _, e := range j.Before(0, 100, all) {
				texts = append([]string{e.Text}, texts...)
			}
			j.entries, j.bytes = nil, 0
			return strings.Join(texts, " ")
		}
		for _, step := range []struct {
			do   func()
			want string
		}{
			{func() {}, ""},
			{func() { j.Override(slog.LevelDebug, "buses", time.Minute) }, "two"},
			{func() { j.Override(slog.LevelDebug, "", time.Minute) }, "one two"},
			{func() { time.Sleep(59 * time.Second) }, "one two"},
			{func() { time.Sleep(time.Second) }, ""},
			{func() { j.SetLevel(slog.LevelDebug) }, "one two"},
			{func() { j.Override(slog.LevelError, "", time.Hour) }, ""},
			{func() { j.Override(slog.LevelError, "", 0) }, "one two"},
		} {
			step.do()
			if got := seen(); got != step.want {
				t.Errorf("got %q, want %q", got, step.want)
			}
		}
	})
}

type speaking struct{ text string }

func (s speaking) LogValue() slog.Value { return slog.GroupValue(slog.String("says", s.text)) }

func TestSecretsAreHidden(t *testing.T) {
	j, out := New(), &bytes.Buffer{}
	j.Hide([]string{"hunter2", "hunter2-long", "abc", ""})
	log := logger(j, out).With("bound", "hunter2")
	log.Warn("login as hunter2-long", "err", fmt.Errorf("refused: %w", errors.New("hunter2 is wrong")), "who", speaking{"hunter2"}, "abc", "abc")
	log.WarnContext(context.Background(), "x", slog.Group("g", "a", "hunter2"))
	text := out.String() + fmt.Sprintf("%+v", j.Before(0, 10, all))
	if strings.Contains(text, "hunter2") || strings.Contains(text, "-long") {
		t.Errorf("a secret is shown: %s", text)
	}
	if !strings.Contains(text, "abc") || !strings.Contains(text, "refused: *** is wrong") {
		t.Errorf("too much is hidden: %s", text)
	}
}
