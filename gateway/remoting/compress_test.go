package remoting

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// compressed is data as zlib and as zstd, by the type that stands in a sysFlag.
func compressed(tb testing.TB, data []byte) map[int32][]byte {
	tb.Helper()
	forms := map[int32][]byte{}
	for algorithm, open := range map[int32]func(w io.Writer) io.WriteCloser{
		compressionZlib: func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		compressionZstd: func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				tb.Fatal(err)
			}
			return z
		},
	} {
		var b bytes.Buffer
		w := open(&b)
		if _, err := w.Write(data); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		forms[algorithm] = b.Bytes()
	}
	return forms
}

func TestInflateLeavesOtherBodiesAlone(t *testing.T) {
	if got, err := Inflate([]byte("plain"), SysPrepared|1<<8, 1); err != nil || string(got) != "plain" {
		t.Errorf("got %q, %v", got, err)
	}
}

// peak is how much more memory was live at a time while do ran, as often as collecting garbage, which it begins at once, finds out. What
// was allocated in all says less: a buffer that grows is garbage half a dozen times.
func peak(do func()) (most uint64) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	now := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(now)
	before := now[0].Value.Uint64()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Microsecond):
			}
			metrics.Read(now)
			most = max(most, now[0].Value.Uint64())
		}
	})
	do()
	close(done)
	watching.Wait()
	return most - min(most, before)
}

func TestInflateRefusesBombsAndRubbish(t *testing.T) {
	bombs := compressed(t, make([]byte, 32<<20))
	bombs[compressionLZ4] = lz4Zeros(32 << 20)
	for algorithm, body := range bombs {
		sysFlag := SysCompressed | algorithm<<8
		for _, most := range []int{1 << 20, 8 << 20} {
			got := peak(func() {
				if _, err := Inflate(body, sysFlag, most); !errors.Is(err, ErrTooLarge) {
					t.Errorf("type %d: a bomb of 32 MiB in %d bytes: %v", algorithm, len(body), err)
				}
			})
			if bound := uint64(16<<20 + 3*most); got > bound {
				t.Errorf("type %d: %d bytes live for a body of at most %d", algorithm, got, most)
			}
		}
		if _, err := Inflate(body[:len(body)/2], sysFlag, 64<<20); !errors.Is(err, ErrFrame) {
			t.Errorf("type %d: half of a body: %v", algorithm, err)
		}
		if _, err := Inflate([]byte("rubbish"), sysFlag, 1<<20); !errors.Is(err, ErrFrame) {
			t.Errorf("type %d: rubbish: %v", algorithm, err)
		}
	}
	if _, err := Inflate(nil, SysCompressed|5<<8, 1<<20); !errors.Is(err, ErrFrame) {
		t.Errorf("an unknown algorithm: %v", err)
	}
}

func TestInflateTakesBodiesUpToTheLimit(t *testing.T) {
	want := bytes.Repeat([]byte("reading "), 10_000)
	for algorithm, body := range compressed(t, want) {
		if got, err := Inflate(body, SysCompressed|algorithm<<8, len(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("type %d: %d bytes of %d, %v", algorithm, len(got), len(want), err)
		}
		if _, err := Inflate(body, SysCompressed|algorithm<<8, len(want)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("type %d, one byte above the limit: %v", algorithm, err)
		}
	}
}

func FuzzInflate(f *testing.F) {
	for algorithm, body := range compressed(f, bytes.Repeat([]byte("reading "), 50)) {
		f.Add(body, SysCompressed|algorithm<<8)
	}
	for name, algorithm := range map[string]int32{"zlib-5.5.0": 0, "lz4-5.5.0": 1, "zstd-5.5.0": 2} {
		f.Add(javaWrote(f, name), SysCompressed|algorithm<<8)
	}
	f.Fuzz(func(t *testing.T, in []byte, sysFlag int32) {
		out, err := Inflate(in, sysFlag|SysCompressed, 1<<16)
		if err != nil && !errors.Is(err, ErrFrame) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%x: %v", in, err)
		}
		if len(out) > 1<<16 {
			t.Errorf("%x: %d bytes", in, len(out))
		}
	})
}
