package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// answered is what came of a number of requests.
type answered struct{ requests, bytes int64 }

// ask sends the same request over each connection again as soon as it is answered, for a time, and waits for the last
// answers. It writes the request and parses the answer itself: a client of net/http takes more of the two cores than
// what is measured.
func ask(ctx context.Context, address, request string, conns int, d time.Duration) (sum answered, err error) {
	all := make([]answered, conns)
	wrong := make([]error, conns)
	end := time.Now().Add(d)
	var asking sync.WaitGroup
	for i := range conns {
		asking.Go(func() { all[i], wrong[i] = repeat(ctx, address, []byte(request), end) })
	}
	asking.Wait()
	for _, one := range all {
		sum.requests, sum.bytes = sum.requests+one.requests, sum.bytes+one.bytes
	}
	if sum.requests == 0 {
		wrong = append(wrong, errors.New("nothing was answered"))
	}
	return sum, errors.Join(wrong...)
}

func repeat(ctx context.Context, address string, request []byte, end time.Time) (got answered, err error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return got, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return got, err
	}
	in := bufio.NewReader(conn)
	for time.Now().Before(end) && ctx.Err() == nil {
		if _, err := conn.Write(request); err != nil {
			return got, err
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return got, err
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			return got, errors.Join(fmt.Errorf("answered %s", answer.Status), err)
		}
		got.requests, got.bytes = got.requests+1, got.bytes+n
	}
	return got, ctx.Err()
}
