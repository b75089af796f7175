package mqtt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
)

// The test binary is its own recording cloud when these are set: something that can be killed.
const (
	childRecord  = "SLUICE_TEST_CLOUD_RECORD"
	childAddress = "SLUICE_TEST_CLOUD_ADDRESS"
)

// beCloud runs the recording cloud until the process is killed.
func beCloud() error {
	s, err := cloudsim.Listen(os.Getenv(childAddress), cloudsim.Options{Record: os.Getenv(childRecord)})
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	return s.Run(context.Background())
}

func TestNothingIsLostWhenTheCloudIsKilledAtFullSpeed(t *testing.T) {
	record := t.TempDir() + "/taken"
	address := fmt.Sprintf("127.0.0.1:%d", uplinktest.FreePort(t))
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childRecord+"="+record, childAddress+"="+address)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			_, err = bufio.NewReader(out).ReadString('\n') // it listens
		}
		if err != nil {
			t.Fatalf("start the cloud: %v", err)
		}
		return cmd
	}
	kill := func(cmd *exec.Cmd) {
		cmd.Process.Kill()
		cmd.Wait()
	}
	cloud := start()
	defer func() { kill(cloud) }()
	var source uplinktest.Readings
	uplinktest.Forward(t, uplink(t, "tcp://"+address, nil), &source, nil)
	for range 3 {
		source.Advance(t, 1000)
		kill(cloud)
		cloud = start()
	}
	source.Advance(t, 500)
	last := source.Finish(t)
	file, err := os.Open(record)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := cloudsim.Check(file)
	if err != nil {
		t.Fatal(err)
	}
	if r.Gaps != 0 || r.Reordered != 0 || r.Other != 0 || r.Streams[0].LongestRepeat > 100 || r.Streams[0].First != 1 || r.Streams[0].Last != last {
		t.Errorf("the recording holds %+v, want 1 to %d and at most a window of repeats in a row", r, last)
	}
}
