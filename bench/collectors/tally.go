package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// tally is what a contestant made of the answers that it got. Point pN is register N, which holds N, so that a value
// tells whether it is right.
type tally struct{ readings, values int }

func (t *tally) add(point string, value uint64) error {
	if point != "p"+strconv.FormatUint(value, 10) {
		return fmt.Errorf("point %s is %d", point, value)
	}
	t.values++
	return nil
}

// maxLine is more than a reading of 10,000 points takes.
const maxLine = 4 << 20

// readLog counts what is in the log of a gateway that has stopped.
func (p *plan) readLog(ctx context.Context, dir string) (t tally, err error) {
	cmd := exec.CommandContext(ctx, p.sluice, "log", "dump", "--json", "--topic", "readings/#", dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, err
	}
	if err := cmd.Start(); err != nil {
		return t, err
	}
	t, err = readings(out)
	if err != nil {
		_, _ = io.Copy(io.Discard, out) // else it would wait for somebody who reads
	}
	if ended := cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("%w: %s", ended, said.String()))
	}
	return t, err
}

// readings counts the readings of a dump.
func readings(dump io.Reader) (t tally, err error) {
	lines := bufio.NewScanner(dump)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var record struct{ Payload string }
		var reading struct {
			Values map[string]uint64
			Errors map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return t, err
		}
		if err := json.Unmarshal([]byte(record.Payload), &reading); err != nil {
			return t, err
		}
		for point, problem := range reading.Errors {
			return t, fmt.Errorf("point %s: %s", point, problem)
		}
		for point, value := range reading.Values {
			if err := t.add(point, value); err != nil {
				return t, err
			}
		}
		t.readings++
	}
	return t, lines.Err()
}

// lineProtocol counts the readings in what Telegraf has written: modbus,name=d0,… p0=0u,p1=1u 1795345665221000000.
func lineProtocol(written io.Reader) (t tally, err error) {
	lines := bufio.NewScanner(written)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		parts := strings.Split(strings.TrimPrefix(lines.Text(), "> "), " ")
		if len(parts) != 3 || !strings.HasPrefix(parts[0], "modbus,") {
			return t, fmt.Errorf("%q is no reading", lines.Text())
		}
		for field := range strings.SplitSeq(parts[1], ",") {
			point, text, _ := strings.Cut(field, "=")
			value, err := strconv.ParseUint(strings.TrimRight(text, "iu"), 10, 16)
			if err != nil {
				return t, fmt.Errorf("field %q: %w", field, err)
			}
			if err := t.add(point, value); err != nil {
				return t, err
			}
		}
		t.readings++
	}
	return t, lines.Err()
}
