package cloudsim

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// ends gives both ends of a connection over the line.
func ends(t *testing.T, l *Line) (near, far net.Conn) {
	t.Helper()
	came := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		came <- c
	}()
	near, err := l.Dial(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return near, <-came
}

func TestACutLineCarriesNothingAndEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLine()
		near, far := ends(t, l)
		l.SetCut(true)
		if n, err := near.Write(make([]byte, lineBuffer)); n != lineBuffer || err != nil {
			t.Errorf("wrote %d bytes, %v; want a buffer full of silence", n, err)
		}
		near.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := near.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes more, %v; want to wait for room in vain", n, err)
		}
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d bytes, %v; want none for an hour", n, err)
		}
		far.SetReadDeadline(time.Time{})
		l.SetCut(false)
		near.Close()
		if all, err := io.ReadAll(far); len(all) != lineBuffer || err != nil {
			t.Errorf("read %d bytes, %v; want all that had waited, then the end", len(all), err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to an end that is closed gives %v", err)
		}
	})
}

func TestWhatIsClosedOnACutLineIsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLine()
		near, far := ends(t, l)
		near.Write([]byte("x"))
		l.SetCut(true)
		near.Close()
		go func() {
			time.Sleep(time.Minute)
			l.SetCut(false)
		}()
		from := time.Now()
		if n, err := far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) || time.Since(from) != time.Minute {
			t.Errorf("read %d bytes, %v after %s; want a reset once the line is whole", n, err, time.Since(from))
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading from an end that is closed gives %v", err)
		}
	})
}

func TestDialOnALineThatIsNotWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLine()
		l.SetCut(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		from := time.Now()
		if _, err := l.Dial(ctx, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(from) != time.Minute {
			t.Errorf("a cut line gives %v after %s, want to wait for ctx", err, time.Since(from))
		}
		l.SetRefuse(true)
		if _, err := l.Dial(t.Context(), ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a line without anybody gives %v", err)
		}
		l.SetRefuse(false)
		l.SetCut(false)
		l.Close()
		if _, err := l.Dial(t.Context(), ""); !errors.Is(err, syscall.ECONNREFUSED) || l.Dials() != 3 {
			t.Errorf("a closed line gives %v after %d dials", err, l.Dials())
		}
	})
}
